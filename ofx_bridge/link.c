/* link.h: one line a render at a time; lines that are free wait in a list. */
#include "link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_BODY = 1 << 20,  /* bytes: what is larger is no message of ours */
    CONNECT_MS = 200,     /* a listening engine takes the line at once */
    SEND_MS = 2000,       /* an engine that reads nothing for so long is lost */
    HANDSHAKE_S = 5,      /* a busy machine may be slow to answer */
    START_S = 20,         /* that an engine may take to listen: its libraries are large */
    GIVE_UP_S = 30,       /* after one that did not come: not every frame is to wait for it */
    SLICE_MS = 20,        /* between two questions whether the host still wants the frame */
    MOST_WORDS = 16,      /* of the command that starts the engine */
    FILE_SIZE = 4096      /* of endpoint and engine.txt */
};

static autowipe_lock lock = AUTOWIPE_LOCK;
static autowipe_line *free_lines = NULL;
static double last_start = -1e9;     /* of the engine that is being started */
static double given_up_until = -1e9; /* no engine comes before */

void autowipe_put_u32(autowipe_packing *packing, uint32_t value)
{
    if (packing->used + sizeof value > sizeof packing->bytes) {
        packing->is_full = 1;
        return;
    }
    memcpy(packing->bytes + packing->used, &value, sizeof value);
    packing->used += sizeof value;
}

void autowipe_put_u64(autowipe_packing *packing, uint64_t value)
{
    autowipe_put_u32(packing, (uint32_t)value);
    autowipe_put_u32(packing, (uint32_t)(value >> 32));
}

void autowipe_put_f64(autowipe_packing *packing, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    autowipe_put_u64(packing, bits);
}

void autowipe_put_text(autowipe_packing *packing, const char *text)
{
    size_t length = strlen(text);
    autowipe_put_u32(packing, (uint32_t)length);
    if (packing->is_full || packing->used + length > sizeof packing->bytes) {
        packing->is_full = 1;
        return;
    }
    memcpy(packing->bytes + packing->used, text, length);
    packing->used += length;
}

uint32_t autowipe_take_u32(autowipe_unpacking *unpacking)
{
    uint32_t value = 0;
    if (unpacking->is_short || unpacking->left < sizeof value) {
        unpacking->is_short = 1;
        return 0;
    }
    memcpy(&value, unpacking->next, sizeof value);
    unpacking->next += sizeof value, unpacking->left -= sizeof value;
    return value;
}

uint64_t autowipe_take_u64(autowipe_unpacking *unpacking)
{
    uint64_t low = autowipe_take_u32(unpacking);
    return low | (uint64_t)autowipe_take_u32(unpacking) << 32;
}

double autowipe_take_f64(autowipe_unpacking *unpacking)
{
    uint64_t bits = autowipe_take_u64(unpacking);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void autowipe_take_text(autowipe_unpacking *unpacking, char *text, size_t size)
{
    size_t length = autowipe_take_u32(unpacking);
    text[0] = 0;
    if (unpacking->is_short || unpacking->left < length) {
        unpacking->is_short = 1;
        return;
    }
    size_t kept = length < size ? length : size - 1;
    while (kept < length && kept > 0 && (unpacking->next[kept] & 0xC0) == 0x80)
        kept--; /* not in the middle of a letter */
    memcpy(text, unpacking->next, kept);
    text[kept] = 0;
    unpacking->next += length, unpacking->left -= length;
}

/* A whole small text file: its length, or -1. */
static long read_file(const char *path, char text[FILE_SIZE])
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return -1;
    size_t length = fread(text, 1, FILE_SIZE - 1, file);
    int is_whole = feof(file) && !ferror(file);
    fclose(file);
    text[length] = 0;
    return is_whole ? (long)length : -1;
}

/* The next line of a text, without its end; NULL after the last. */
static char *next_line(char **text)
{
    char *line = *text, *end;
    if (!line || !*line)
        return NULL;
    end = line + strcspn(line, "\r\n");
    *text = *end ? end + 1 + (end[0] == '\r' && end[1] == '\n') : end;
    *end = 0;
    return line;
}

typedef struct {
    char transport[8], address[AUTOWIPE_PATH], token[80];
    uint32_t protocol;
} endpoint;

/* What a running engine has written into the folder: a line "key value" for each. */
static int read_endpoint(const char *folder, endpoint *found)
{
    char path[AUTOWIPE_PATH + 16], text[FILE_SIZE], *rest = text, *line;
    memset(found, 0, sizeof *found);
    snprintf(path, sizeof path, "%s" AUTOWIPE_SEPARATOR "endpoint", folder);
    if (read_file(path, text) < 0)
        return -1;
    while ((line = next_line(&rest))) {
        char *value = strchr(line, ' ');
        if (!value)
            continue;
        *value++ = 0;
        if (strcmp(line, "protocol") == 0)
            found->protocol = (uint32_t)strtoul(value, NULL, 10);
        else if (strcmp(line, "transport") == 0)
            snprintf(found->transport, sizeof found->transport, "%s", value);
        else if (strcmp(line, "address") == 0)
            snprintf(found->address, sizeof found->address, "%s", value);
        else if (strcmp(line, "token") == 0)
            snprintf(found->token, sizeof found->token, "%s", value);
    }
    return found->token[0] ? 0 : -1;
}

/* The command that install.py wrote into the bundle: one word a line. */
static int start_engine(char why[AUTOWIPE_TEXT])
{
    char path[AUTOWIPE_PATH + 32], text[FILE_SIZE], *rest = text, *words[MOST_WORDS + 1];
    int count = 0;
    if (autowipe_own_file(path) != 0)
        return -1;
    for (int up = 0; up < 2; up++) { /* Contents/ARCH/AutoWipe.ofx */
        char *end = strrchr(path, AUTOWIPE_SEPARATOR[0]);
        if (!end)
            return -1;
        *end = 0;
    }
    strcat(path, AUTOWIPE_SEPARATOR "Resources" AUTOWIPE_SEPARATOR "engine.txt");
    if (read_file(path, text) < 0) {
        snprintf(why, AUTOWIPE_TEXT, "AutoWipe's engine is not set up: run install.py ofx. The picture is unchanged.");
        return -1;
    }
    while (count < MOST_WORDS && (words[count] = next_line(&rest)))
        if (*words[count])
            count++;
    words[count] = NULL;
    if (count == 0 || autowipe_start(words) != 0) {
        snprintf(why, AUTOWIPE_TEXT, "AutoWipe's engine cannot be started. The picture is unchanged.");
        return -1;
    }
    return 0;
}

static void destroy(autowipe_line *line)
{
    autowipe_disconnect(line->socket);
    autowipe_shared_close(&line->shared);
    free(line->body);
    free(line);
}

static int shake_hands(autowipe_line *line, const endpoint *engine, const char *name, const autowipe_patience *patience,
                       char why[AUTOWIPE_TEXT])
{
    autowipe_packing hello = {.used = 0};
    autowipe_put_u32(&hello, AUTOWIPE_PROTOCOL);
    autowipe_put_text(&hello, engine->token);
    autowipe_put_text(&hello, AUTOWIPE_VERSION);
    autowipe_put_text(&hello, autowipe_the_host.name);
    autowipe_put_text(&hello, name);
    autowipe_patience short_while = *patience;
    if (short_while.end > autowipe_now() + HANDSHAKE_S)
        short_while.end = autowipe_now() + HANDSHAKE_S;
    uint32_t type = 0;
    int how = autowipe_line_send(line, AUTOWIPE_HELLO, hello.bytes, hello.used);
    if (how == AUTOWIPE_FINE)
        how = autowipe_line_receive(line, &type, &short_while);
    autowipe_unpacking answer = {line->body, line->size, 0};
    if (how == AUTOWIPE_FINE && (type != AUTOWIPE_WELCOME || autowipe_take_u32(&answer) != AUTOWIPE_PROTOCOL))
        how = AUTOWIPE_LOST;
    if (how != AUTOWIPE_FINE)
        snprintf(why, AUTOWIPE_TEXT, "AutoWipe's engine does not answer as it should. The picture is unchanged.");
    return how;
}

/* AUTOWIPE_NO_ENGINE where nobody listens. */
static int connect_line(autowipe_line **made, const autowipe_patience *patience, char why[AUTOWIPE_TEXT])
{
    char folder[AUTOWIPE_PATH], path[AUTOWIPE_PATH + 40], name[32];
    unsigned char random[8];
    endpoint engine;
    if (autowipe_link_folder(folder) != 0 || read_endpoint(folder, &engine) != 0)
        return AUTOWIPE_NO_ENGINE;
    if (engine.protocol != AUTOWIPE_PROTOCOL) {
        snprintf(why, AUTOWIPE_TEXT,
                 "AutoWipe's engine and plug-in are of different versions: run install.py ofx again. The picture is "
                 "unchanged.");
        return AUTOWIPE_LOST;
    }
    autowipe_socket socket = autowipe_connect(engine.transport, engine.address, CONNECT_MS);
    if (socket == AUTOWIPE_NO_SOCKET)
        return AUTOWIPE_NO_ENGINE;
    autowipe_line *line = calloc(1, sizeof *line);
    if (!line || autowipe_random(random, sizeof random) != 0) {
        free(line);
        autowipe_disconnect(socket);
        return AUTOWIPE_LOST;
    }
    strcpy(name, "pixels-");
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(name + strlen(name), 3, "%02x", random[i]);
    snprintf(path, sizeof path, "%s" AUTOWIPE_SEPARATOR "%s", folder, name);
    line->socket = socket;
    if (strlen(path) >= AUTOWIPE_PATH || autowipe_shared_open(&line->shared, path) != 0) {
        snprintf(why, AUTOWIPE_TEXT, "AutoWipe has no room for pixels in %.300s. The picture is unchanged.", folder);
        autowipe_disconnect(socket);
        free(line);
        return AUTOWIPE_LOST;
    }
    int how = shake_hands(line, &engine, name, patience, why);
    autowipe_shared_hide(&line->shared);
    if (how != AUTOWIPE_FINE) {
        destroy(line);
        return how;
    }
    *made = line;
    return AUTOWIPE_FINE;
}

int autowipe_still_waits(const autowipe_patience *patience)
{
    if (patience->is_stopped && patience->is_stopped(patience->about))
        return AUTOWIPE_STOPPED;
    return autowipe_now() >= patience->end ? AUTOWIPE_TOO_SLOW : AUTOWIPE_FINE;
}

/* Ends a start: so that the next frame starts an engine at once, or after GIVE_UP_S where none came. */
static void give_up(int is_long)
{
    autowipe_lock_take(&lock);
    last_start = -1e9;
    if (is_long)
        given_up_until = autowipe_now() + GIVE_UP_S;
    autowipe_lock_give(&lock);
}

int autowipe_line_take(autowipe_line **line, int may_start, const autowipe_patience *patience, char why[AUTOWIPE_TEXT])
{
    for (;;) {
        autowipe_lock_take(&lock);
        autowipe_line *found = free_lines;
        if (found)
            free_lines = found->next;
        autowipe_lock_give(&lock);
        if (!found)
            break;
        if (autowipe_is_readable(found->socket, 0) == 0) { /* silent, as it should be */
            *line = found;
            return AUTOWIPE_FINE;
        }
        destroy(found); /* the engine has hung up */
    }
    int how = connect_line(line, patience, why);
    if (how != AUTOWIPE_NO_ENGINE)
        return how;
    snprintf(why, AUTOWIPE_TEXT, "AutoWipe's engine is not running. The picture is unchanged.");
    if (!may_start)
        return how;
    autowipe_lock_take(&lock);
    double now = autowipe_now();
    int is_given_up = now < given_up_until, is_starting = now < last_start + START_S;
    if (!is_given_up && !is_starting)
        last_start = now;
    double end = last_start + START_S; /* several renders wait for the one that is starting */
    autowipe_lock_give(&lock);
    if (is_given_up || (!is_starting && start_engine(why) != 0)) {
        give_up(!is_given_up);
        return how;
    }
    while (how == AUTOWIPE_NO_ENGINE && autowipe_now() < end) {
        int waits = autowipe_still_waits(patience);
        if (waits == AUTOWIPE_STOPPED)
            return waits;
        if (waits != AUTOWIPE_FINE)
            break;
        autowipe_sleep(SLICE_MS);
        how = connect_line(line, patience, why);
    }
    if (how == AUTOWIPE_NO_ENGINE) {
        snprintf(why, AUTOWIPE_TEXT, "AutoWipe's engine did not start in time. The picture is unchanged.");
        if (autowipe_now() >= end)
            give_up(1);
    } else {
        give_up(0);
    }
    return how;
}

void autowipe_line_give(autowipe_line *line, int is_sound)
{
    if (!is_sound) {
        destroy(line);
        return;
    }
    autowipe_lock_take(&lock);
    line->next = free_lines;
    free_lines = line;
    autowipe_lock_give(&lock);
}

void autowipe_lines_close(void)
{
    autowipe_lock_take(&lock);
    autowipe_line *line = free_lines;
    free_lines = NULL;
    autowipe_lock_give(&lock);
    while (line) {
        autowipe_line *next = line->next;
        destroy(line);
        line = next;
    }
}

int autowipe_line_send(autowipe_line *line, uint32_t type, const void *body, size_t size)
{
    /* In one piece: over TCP the second of two small ones would wait for word of the first. */
    unsigned char message[2 * sizeof(uint32_t) + sizeof ((autowipe_packing *)NULL)->bytes];
    uint32_t head[2] = {(uint32_t)size, type};
    if (size > sizeof message - sizeof head)
        return AUTOWIPE_LOST;
    memcpy(message, head, sizeof head);
    memcpy(message + sizeof head, body, size);
    return autowipe_send(line->socket, message, sizeof head + size, SEND_MS) == 0 ? AUTOWIPE_FINE : AUTOWIPE_LOST;
}

static int receive_all(autowipe_line *line, void *bytes, size_t count, const autowipe_patience *patience)
{
    unsigned char *next = bytes;
    while (count > 0) {
        int is_there = autowipe_is_readable(line->socket, SLICE_MS);
        if (is_there < 0)
            return AUTOWIPE_LOST;
        if (is_there == 0) {
            int waits = autowipe_still_waits(patience);
            if (waits != AUTOWIPE_FINE)
                return waits;
            continue;
        }
        long got = autowipe_receive(line->socket, next, count);
        if (got <= 0)
            return AUTOWIPE_LOST;
        next += got, count -= (size_t)got;
    }
    return AUTOWIPE_FINE;
}

int autowipe_line_receive(autowipe_line *line, uint32_t *type, const autowipe_patience *patience)
{
    uint32_t head[2];
    int how = receive_all(line, head, sizeof head, patience);
    if (how != AUTOWIPE_FINE)
        return how;
    if (head[0] > MOST_BODY)
        return AUTOWIPE_LOST;
    if (head[0] > line->room) {
        unsigned char *larger = realloc(line->body, head[0]);
        if (!larger)
            return AUTOWIPE_LOST;
        line->body = larger, line->room = head[0];
    }
    *type = head[1];
    line->size = head[0];
    return receive_all(line, line->body, line->size, patience);
}
