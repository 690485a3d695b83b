// Shows the numbers of what is pointed at or tapped. Without it the browser shows them, with a mouse.
const tip = document.body.appendChild(document.createElement("div"));
tip.id = "tip";
tip.hidden = true;
for (const title of document.querySelectorAll(".tip > title")) {
  title.parentNode.dataset.tip = title.textContent;
  title.remove();
}
for (const titled of document.querySelectorAll("[title]")) {
  titled.dataset.tip = titled.title;
  titled.removeAttribute("title");
}
function show(event) {
  const found = event.target.closest?.("[data-tip]");
  tip.hidden = !found;
  if (!found) return;
  tip.textContent = found.dataset.tip;
  const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
  const above = event.clientY - tip.offsetHeight - 14;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${above < 8 ? event.clientY + 18 : above}px`;
}
for (const event of ["pointermove", "pointerdown"]) addEventListener(event, show);
addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
