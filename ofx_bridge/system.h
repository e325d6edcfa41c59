/* What differs between POSIX and Windows: locks, time, the link's folder, sockets, shared files, starting the engine. */
#ifndef AUTOWIPE_SYSTEM_H
#define AUTOWIPE_SYSTEM_H

#include <stddef.h>

#ifdef _WIN32
#include <winsock2.h>
#include <windows.h>
typedef SRWLOCK autowipe_lock;
typedef SOCKET autowipe_socket;
#define AUTOWIPE_LOCK SRWLOCK_INIT
#define AUTOWIPE_NO_SOCKET INVALID_SOCKET
#define AUTOWIPE_SEPARATOR "\\"
#else
#include <pthread.h>
typedef pthread_mutex_t autowipe_lock;
typedef int autowipe_socket;
#define AUTOWIPE_LOCK PTHREAD_MUTEX_INITIALIZER
#define AUTOWIPE_NO_SOCKET (-1)
#define AUTOWIPE_SEPARATOR "/"
#endif

enum { AUTOWIPE_PATH = 1024 }; /* bytes of a path, its end included */

void autowipe_lock_take(autowipe_lock *lock);
void autowipe_lock_give(autowipe_lock *lock);

double autowipe_now(void); /* s, from any origin, never back */
void autowipe_sleep(int ms);
int autowipe_random(unsigned char *bytes, size_t count); /* 0, or -1 where the system gives none */

/* The folder in which engine and plug-in of one user meet; link.py has the same rule. Whether it is there and the
   user's alone is told by the return value: 0, or -1. */
int autowipe_link_folder(char path[AUTOWIPE_PATH]);

/* The file in which this code lies. 0 or -1. */
int autowipe_own_file(char path[AUTOWIPE_PATH]);

/* `transport` "unix" (address: a path) or "tcp" (address: a port on 127.0.0.1). */
autowipe_socket autowipe_connect(const char *transport, const char *address, int wait_ms);
int autowipe_send(autowipe_socket socket, const void *bytes, size_t count, int wait_ms); /* all of them: 0, or -1 */
int autowipe_is_readable(autowipe_socket socket, int wait_ms);                           /* 1, 0, or -1 */
long autowipe_receive(autowipe_socket socket, void *bytes, size_t count);                /* what is there; 0 at the end */
void autowipe_disconnect(autowipe_socket socket);

/* A file in the link's folder that two programs map. It is gone from the folder when closed. */
typedef struct {
    unsigned char *bytes;
    size_t size;
    char path[AUTOWIPE_PATH];
#ifdef _WIN32
    HANDLE file, mapping;
#else
    int file;
#endif
} autowipe_shared;

int autowipe_shared_open(autowipe_shared *shared, const char *path); /* new and empty: 0 or -1 */
int autowipe_shared_grow(autowipe_shared *shared, size_t size);      /* 0 or -1; `bytes` may move */
void autowipe_shared_hide(autowipe_shared *shared);                  /* the other side has opened it */
void autowipe_shared_close(autowipe_shared *shared);

/* Starts a program that outlives the host, without the host's library and Python settings. 0 or -1. */
int autowipe_start(char *const words[]);

#endif
