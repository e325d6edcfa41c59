/* The line to the engine: finds or starts it, shakes hands, sends and receives messages, shares memory for pixels.
 *
 * A message is its body's size and its type (u32 each), then the body: numbers in the machine's (little) byte order
 * and texts (u32 of bytes, then UTF-8). core/autowipe/link.py is the other end and lists the messages.
 */
#ifndef AUTOWIPE_LINK_H
#define AUTOWIPE_LINK_H

#include <stdint.h>

#include "host.h"
#include "system.h"

enum {
    AUTOWIPE_PROTOCOL = 1,
    AUTOWIPE_HELLO = 1, /* plug-in: protocol, token, plug-in version, host, file of the shared memory */
    AUTOWIPE_WELCOME,   /* engine: protocol, version */
    AUTOWIPE_RENDER,
    AUTOWIPE_ANALYSE,
    AUTOWIPE_STATUS,
    AUTOWIPE_WANT,
    AUTOWIPE_GOT,
    AUTOWIPE_SHARE,
    AUTOWIPE_RESULT
};
#define AUTOWIPE_VERSION "0.1.0"

/* How long, and whether still. */
typedef struct {
    double end;                     /* by autowipe_now() */
    int (*is_stopped)(void *about); /* the host no longer wants it; NULL is never */
    void *about;
} autowipe_patience;

typedef struct autowipe_line {
    autowipe_socket socket;
    autowipe_shared shared;
    unsigned char *body; /* of the message last received */
    size_t size, room;
    struct autowipe_line *next;
} autowipe_line;

enum { AUTOWIPE_FINE = 0, AUTOWIPE_NO_ENGINE, AUTOWIPE_TOO_SLOW, AUTOWIPE_STOPPED, AUTOWIPE_LOST };

/* AUTOWIPE_FINE, _STOPPED or _TOO_SLOW. */
int autowipe_still_waits(const autowipe_patience *patience);

/* A line that is free, or a new one. With `may_start` the engine is started where there is none, and waited
   for; where none came, half a minute passes before the next. Says in `why` what is wrong where the return value is not AUTOWIPE_FINE. */
int autowipe_line_take(autowipe_line **line, int may_start, const autowipe_patience *patience, char why[AUTOWIPE_TEXT]);
/* Keeps the line for the next one, or gives it up where its state is not known. */
void autowipe_line_give(autowipe_line *line, int is_sound);
void autowipe_lines_close(void);

/* AUTOWIPE_FINE, or _LOST, _STOPPED, _TOO_SLOW: then the line can only be given up. */
int autowipe_line_send(autowipe_line *line, uint32_t type, const void *body, size_t size);
int autowipe_line_receive(autowipe_line *line, uint32_t *type, const autowipe_patience *patience);

/* Bodies are put together and taken apart in order. One failure makes all that follow fail. */
typedef struct {
    unsigned char bytes[8192];
    size_t used;
    int is_full;
} autowipe_packing;
void autowipe_put_u32(autowipe_packing *packing, uint32_t value);
void autowipe_put_u64(autowipe_packing *packing, uint64_t value);
void autowipe_put_f64(autowipe_packing *packing, double value);
void autowipe_put_text(autowipe_packing *packing, const char *text);

typedef struct {
    const unsigned char *next;
    size_t left;
    int is_short;
} autowipe_unpacking;
uint32_t autowipe_take_u32(autowipe_unpacking *unpacking);
uint64_t autowipe_take_u64(autowipe_unpacking *unpacking);
double autowipe_take_f64(autowipe_unpacking *unpacking);
void autowipe_take_text(autowipe_unpacking *unpacking, char *text, size_t size);

#endif
