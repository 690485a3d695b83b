/* Threads and locks of C11 as those of POSIX, for the thread sanitizer: GCC's sees only the latter,
 * and librdkafka in confluent-kafka's wheel uses both. A program's functions come before libc's. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

static int result(int error) {
  return error == ETIMEDOUT ? thrd_timedout : error ? thrd_error : thrd_success;
}

/* glibc's mtx_t, cnd_t and thrd_t are pthread_mutex_t, pthread_cond_t and pthread_t. */
int mtx_init(mtx_t* lock, int type) {
  pthread_mutexattr_t kind;
  pthread_mutexattr_init(&kind);
  if (type & mtx_recursive) pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE);
  return result(pthread_mutex_init((pthread_mutex_t*)lock, &kind));
}
int mtx_lock(mtx_t* lock) { return result(pthread_mutex_lock((pthread_mutex_t*)lock)); }
int mtx_unlock(mtx_t* lock) { return result(pthread_mutex_unlock((pthread_mutex_t*)lock)); }
void mtx_destroy(mtx_t* lock) { pthread_mutex_destroy((pthread_mutex_t*)lock); }

int cnd_init(cnd_t* condition) {
  return result(pthread_cond_init((pthread_cond_t*)condition, NULL));
}
int cnd_wait(cnd_t* condition, mtx_t* lock) {
  return result(pthread_cond_wait((pthread_cond_t*)condition, (pthread_mutex_t*)lock));
}
int cnd_timedwait(cnd_t* condition, mtx_t* lock, const struct timespec* until) {
  return result(pthread_cond_timedwait((pthread_cond_t*)condition, (pthread_mutex_t*)lock, until));
}
int cnd_signal(cnd_t* condition) { return result(pthread_cond_signal((pthread_cond_t*)condition)); }
int cnd_broadcast(cnd_t* condition) {
  return result(pthread_cond_broadcast((pthread_cond_t*)condition));
}
void cnd_destroy(cnd_t* condition) { pthread_cond_destroy((pthread_cond_t*)condition); }

struct start {
  thrd_start_t run;
  void* argument;
};

static void* run(void* given) {
  struct start start = *(struct start*)given;
  free(given);
  return (void*)(intptr_t)start.run(start.argument);
}

int thrd_create(thrd_t* thread, thrd_start_t function, void* argument) {
  struct start* start = malloc(sizeof *start);
  if (!start) return thrd_nomem;
  *start = (struct start){function, argument};
  return result(pthread_create(thread, NULL, run, start));
}
int thrd_join(thrd_t thread, int* returned) {
  void* value;
  int error = pthread_join(thread, &value);
  if (returned) *returned = (int)(intptr_t)value;
  return result(error);
}
