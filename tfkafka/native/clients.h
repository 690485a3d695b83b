// The functions of librdkafka, and the clients that confluent-kafka makes of it.
#ifndef TFKAFKA_CLIENTS_H
#define TFKAFKA_CLIENTS_H

#include <pthread.h>

#include "librdkafka.h"
#include "tfkafka_native.h"

struct Librdkafka {
#define F(name, result, arguments) result(*name) arguments;
  TK_LIBRDKAFKA(F)
#undef F
};
extern Librdkafka kafka;

// A client that was created with this library as a plugin. It lives as long as the client's
// settings, which librdkafka destroys last, after its threads have ended.
struct Client {
  rd_kafka_t* kafka;
  pthread_mutex_t lock;  // of what follows
  TkFailures failures;
};

// Takes the place of the client's callback for errors: see filler.cc.
void replace_error_callback(const rd_kafka_conf_t* conf);

// An interceptor that notes which records were not written; `opaque` is a Client.
int on_acknowledgement(rd_kafka_t*, rd_kafka_message_t* message, void* opaque);

#endif
