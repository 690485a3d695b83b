// A client as librdkafka shows it to its plugin, for fuzzers that take librdkafka's place.
#ifndef TFKAFKA_TESTS_CLIENT_H
#define TFKAFKA_TESTS_CLIENT_H

#include "../../tfkafka/native/librdkafka.h"
#include "../../tfkafka/native/tfkafka_native.h"
#include "check.h"

extern "C" int conf_init(rd_kafka_conf_t*, void**, char*, size_t);

struct rd_kafka_t {
  int type;
  OnNew on_new;
  OnConfDestroy on_conf_destroy;
  OnAcknowledgement on_acknowledgement;
  void* opaque;
};
inline rd_kafka_t* made = nullptr;  // the one that is being created
enum { PRODUCER, CONSUMER };        // as rd_kafka_type_t

extern "C" {
int rd_kafka_version() { return 0x02000000; }
rd_kafka_conf_t* rd_kafka_conf_new() { return nullptr; }
int rd_kafka_conf_get(const rd_kafka_conf_t*, const char*, char* value, size_t* size) {
  snprintf(value, *size, "plugins");
  return 0;
}
void rd_kafka_conf_destroy(rd_kafka_conf_t*) {}
void rd_kafka_conf_set_error_cb(rd_kafka_conf_t*, OnError) {}
int rd_kafka_conf_interceptor_add_on_new(rd_kafka_conf_t*, const char*, OnNew call, void* opaque) {
  made->on_new = call;
  made->opaque = opaque;
  return 0;
}
int rd_kafka_conf_interceptor_add_on_conf_destroy(rd_kafka_conf_t*, const char*, OnConfDestroy call,
                                                  void*) {
  made->on_conf_destroy = call;
  return 0;
}
int rd_kafka_interceptor_add_on_acknowledgement(rd_kafka_t* client, const char*,
                                                OnAcknowledgement call, void* opaque) {
  CHECK(opaque == client->opaque, "another client's");
  client->on_acknowledgement = call;
  return 0;
}
int rd_kafka_type(const rd_kafka_t* client) { return client->type; }
}

// A client, and what the library calls it.
struct Client {
  explicit Client(int type) : client{type, nullptr, nullptr, nullptr, nullptr} {
    char error[512] = "";
    made = &client;
    CHECK(!conf_init(nullptr, nullptr, error, sizeof error), "%s", error);
    CHECK(!client.on_new(&client, nullptr, client.opaque, error, sizeof error), "%s", error);
    CHECK(!client.on_acknowledgement == (type == CONSUMER), "type %d", type);
    handle = tk_take_new_client();
    CHECK(handle && !tk_take_new_client(), "it is not shown once");
  }
  ~Client() { client.on_conf_destroy(client.opaque); }

  rd_kafka_t client;
  void* handle;
};

// Lets the library find the functions of this program.
inline void find_functions() {
  char error[512] = "";
  CHECK(tk_find_librdkafka(nullptr, error, sizeof error) > 0, "%s", error);
}

#endif
