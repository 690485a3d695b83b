// Finds librdkafka, and each client that confluent-kafka creates with this library as a plugin.

#include "clients.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

Librdkafka kafka;

namespace {

bool found = false;
thread_local Client* new_client = nullptr;

constexpr const char* NAME = "tfkafka";
constexpr int PRODUCER = 0;  // RD_KAFKA_PRODUCER

// The settings are those of the client, which has no thread yet. confluent-kafka sets its callback
// after plugins have seen the settings, so this is the only place where it can be replaced.
int on_new(rd_kafka_t* made, const rd_kafka_conf_t* conf, void* opaque, char*, size_t) {
  auto* client = static_cast<Client*>(opaque);
  client->kafka = made;
  new_client = client;
  replace_error_callback(conf);
  if (kafka.rd_kafka_type(made) != PRODUCER) return 0;
  return kafka.rd_kafka_interceptor_add_on_acknowledgement(made, NAME, on_acknowledgement, client);
}

int on_conf_destroy(void* opaque) {
  auto* client = static_cast<Client*>(opaque);
  if (new_client == client) new_client = nullptr;
  pthread_mutex_destroy(&client->lock);
  free(client);
  return 0;
}

bool has_plugins() {
  char features[1024] = "";
  size_t size = sizeof features;
  rd_kafka_conf_t* conf = kafka.rd_kafka_conf_new();
  int result = kafka.rd_kafka_conf_get(conf, "builtin.features", features, &size);
  kafka.rd_kafka_conf_destroy(conf);
  return result == 0 && strstr(features, "plugins") != nullptr;
}

}  // namespace

// librdkafka's entry point of a plugin: it calls this for each client that names this library in
// plugin.library.paths.
TFKAFKA_EXPORT int conf_init(rd_kafka_conf_t* conf, void**, char* error, size_t size) {
  if (!found) {
    snprintf(error, size, "tk_find_librdkafka was not called");
    return -1;
  }
  // Not by new, with which zig links 200 kB of C++'s runtime.
  void* memory = malloc(sizeof(Client));
  if (!memory) {
    snprintf(error, size, "there is no memory");
    return -1;
  }
  auto* client = new (memory) Client{};
  pthread_mutex_init(&client->lock, nullptr);
  int result = kafka.rd_kafka_conf_interceptor_add_on_conf_destroy(conf, NAME, on_conf_destroy,
                                                                   client);
  if (result) {
    on_conf_destroy(client);
    return result;
  }
  return kafka.rd_kafka_conf_interceptor_add_on_new(conf, NAME, on_new, client);
}

int32_t tk_find_librdkafka(const char* path, char* error, int32_t size) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    snprintf(error, size, "%s", dlerror());
    return -1;
  }
#define F(name, result, arguments)                                              \
  kafka.name = reinterpret_cast<result(*) arguments>(dlsym(library, #name));    \
  if (!kafka.name) {                                                            \
    snprintf(error, size, "librdkafka has no " #name);                          \
    return -1;                                                                  \
  }
  TK_LIBRDKAFKA(F)
#undef F
  if (!has_plugins()) {
    snprintf(error, size, "this librdkafka was built without plugins");
    return -1;
  }
  found = true;
  return kafka.rd_kafka_version();
}

void* tk_take_new_client() {
  Client* client = new_client;
  new_client = nullptr;
  return client;
}
