// Shows the numbers of what is pointed at, tapped or focused. Without it the browser shows them, with a
// mouse. The tab key enters a drawing once; there the arrow keys go from mark to mark.
const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
const tip = document.body.appendChild(document.createElement("div"));
tip.id = "tip";
tip.hidden = true;
let focused = null;
for (const title of document.querySelectorAll(".tip > title")) {
  keep(title.parentNode, title.textContent);
  title.remove();
}
for (const titled of document.querySelectorAll("[title]")) {
  keep(titled, titled.title);
  titled.removeAttribute("title");
}
function keep(mark, text) {
  mark.dataset.tip = text;
  mark.setAttribute("aria-label", text);
}
function markOf(event) {
  return event.target.closest?.("[data-tip]");
}
function show(mark, x, y, below) {
  tip.hidden = !mark;
  if (!mark) return;
  tip.textContent = mark.dataset.tip;
  const left = Math.min(x + 14, innerWidth - tip.offsetWidth - 8);
  const above = y - tip.offsetHeight - 14;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${above < 8 ? below : above}px`;
}
function showFocused() {
  const box = focused?.getBoundingClientRect();
  if (box) show(focused, box.left + box.width / 2, box.top, Math.max(8, box.top + 18));
  else tip.hidden = true;
}
function point(event) {
  show(markOf(event), event.clientX, event.clientY, event.clientY + 18);
}
function marksBeside(mark) {
  return [...(mark.closest("svg") ?? mark.parentNode).querySelectorAll("[data-tip]")];
}
for (const event of ["pointermove", "pointerdown"]) addEventListener(event, point);
addEventListener("focusin", (event) => {
  const mark = markOf(event);
  focused = mark?.matches(":focus-visible") ? mark : null;
  showFocused();
});
addEventListener("focusout", () => { focused = null; showFocused(); });
addEventListener("keydown", (event) => {
  const mark = markOf(event);
  if (!mark) return;
  if (event.key === "Escape") tip.hidden = true;
  if (!(event.key in STEPS)) return;
  event.preventDefault();
  const marks = marksBeside(mark);
  const next = marks[marks.indexOf(mark) + STEPS[event.key]];
  if (!next) return;
  // Who comes back finds the mark that was left.
  mark.setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus();
});
addEventListener("scroll", showFocused, { capture: true, passive: true });
