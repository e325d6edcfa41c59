/* dialogue.h: everything that the engine says is checked before it is believed. */
#include "dialogue.h"

#include <string.h>

enum {
    MOST_WANTED = 64,        /* pictures in one wish */
    MOST_SHARED = 1 << 30,   /* bytes of one line's memory */
    DIGEST = 0, FLOAT_RGB = 1 /* forms of a wanted picture */
};

int autowipe_ask(autowipe_line *line, uint32_t type, const autowipe_request *request)
{
    autowipe_packing body = {.used = 0};
    autowipe_put_text(&body, request->session);
    autowipe_put_text(&body, request->plan);
    autowipe_put_text(&body, request->media);
    autowipe_put_u32(&body, (uint32_t)request->frame_offset);
    autowipe_put_u32(&body, request->kinds);
    autowipe_put_f64(&body, request->time);
    autowipe_put_f64(&body, request->first);
    autowipe_put_f64(&body, request->last);
    autowipe_put_u32(&body, (uint32_t)request->width);
    autowipe_put_u32(&body, (uint32_t)request->height);
    autowipe_put_u32(&body, (uint32_t)request->field);
    autowipe_put_u32(&body, (uint32_t)request->can_fetch);
    return body.is_full ? AUTOWIPE_LOST : autowipe_line_send(line, type, body.bytes, body.used);
}

static autowipe_box take_box(autowipe_unpacking *from)
{
    autowipe_box box;
    box.x = (int32_t)autowipe_take_u32(from);
    box.y = (int32_t)autowipe_take_u32(from);
    box.w = (int32_t)autowipe_take_u32(from);
    box.h = (int32_t)autowipe_take_u32(from);
    return box;
}

static int is_sane(autowipe_box box)
{
    const int32_t most = 1 << 16;
    return box.x >= 0 && box.y >= 0 && box.w > 0 && box.h > 0 && box.x < most && box.y < most && box.w < most &&
           box.h < most;
}

/* Whether `size` bytes at `offset` lie in the line's memory, where floats may start. */
static int is_inside(const autowipe_line *line, uint64_t offset, uint64_t size)
{
    return offset % sizeof(float) == 0 && offset <= line->shared.size && size <= line->shared.size - offset;
}

/* Share: bytes that the shared memory must have. Got: bytes that it has, 0 where there is no room. */
static int share(autowipe_line *line, autowipe_unpacking *body)
{
    uint64_t size = autowipe_take_u64(body);
    autowipe_packing reply = {.used = 0};
    int is_done = !body->is_short && size <= MOST_SHARED && autowipe_shared_grow(&line->shared, (size_t)size) == 0;
    autowipe_put_u64(&reply, is_done ? (uint64_t)line->shared.size : 0);
    return autowipe_line_send(line, AUTOWIPE_GOT, reply.bytes, reply.used);
}

/* Want: how much of the work is done and a text about it, then pictures, each a time, box, step, form and offset. Got: for each whether it is there, and its digest. */
static int want(autowipe_line *line, autowipe_unpacking *body, const autowipe_source *source,
                const autowipe_patience *patience)
{
    char text[AUTOWIPE_TEXT];
    double done = autowipe_take_f64(body);
    autowipe_take_text(body, text, sizeof text);
    uint32_t count = autowipe_take_u32(body);
    autowipe_packing reply = {.used = 0};
    if (count > MOST_WANTED || !source->fetch)
        return AUTOWIPE_LOST;
    if (source->progress && source->progress(source->about, done, text) != 0)
        return AUTOWIPE_STOPPED;
    for (uint32_t i = 0; i < count; i++) {
        double time = autowipe_take_f64(body);
        autowipe_box box = take_box(body);
        uint32_t step = autowipe_take_u32(body), form = autowipe_take_u32(body);
        uint64_t offset = autowipe_take_u64(body), digest = 0;
        if (body->is_short || !is_sane(box) || step < 1 || step > 1024 || form > FLOAT_RGB)
            return AUTOWIPE_LOST;
        uint64_t pixels = (uint64_t)((box.w + (int)step - 1) / (int)step) * (uint64_t)((box.h + (int)step - 1) / (int)step);
        if (form == FLOAT_RGB && !is_inside(line, offset, pixels * 3 * sizeof(float)))
            return AUTOWIPE_LOST;
        int how = autowipe_still_waits(patience);
        if (how != AUTOWIPE_FINE)
            return how;
        autowipe_picture picture;
        source->fetch(source->about, time, &picture);
        if (picture.handle && form == FLOAT_RGB)
            autowipe_picture_read(&picture, box, (int)step, (float *)(void *)(line->shared.bytes + offset));
        if (picture.handle && form == DIGEST)
            digest = autowipe_picture_digest(&picture);
        autowipe_put_u32(&reply, picture.handle != NULL);
        autowipe_put_u64(&reply, digest);
        source->release(source->about, &picture);
    }
    return autowipe_line_send(line, AUTOWIPE_GOT, reply.bytes, reply.used);
}

static int take_answer(autowipe_line *line, autowipe_unpacking *body, autowipe_answer *answer)
{
    answer->state = (int)autowipe_take_u32(body);
    autowipe_take_text(body, answer->text, sizeof answer->text);
    autowipe_take_text(body, answer->plan, sizeof answer->plan);
    uint32_t count = autowipe_take_u32(body);
    if (body->is_short || count > AUTOWIPE_MOST_PLATES)
        return AUTOWIPE_LOST;
    for (uint32_t i = 0; i < count; i++) {
        autowipe_plate *plate = &answer->plates[i];
        plate->box = take_box(body);
        uint64_t rgb = autowipe_take_u64(body), labels = autowipe_take_u64(body);
        uint64_t pixels = (uint64_t)plate->box.w * (uint64_t)plate->box.h;
        if (body->is_short || !is_sane(plate->box) || !is_inside(line, rgb, pixels * 3 * sizeof(float)) ||
            !is_inside(line, labels, pixels))
            return AUTOWIPE_LOST;
        plate->rgb = (const float *)(const void *)(line->shared.bytes + rgb);
        plate->labels = line->shared.bytes + labels;
    }
    answer->count = (int)count;
    return AUTOWIPE_FINE;
}

int autowipe_hear(autowipe_line *line, const autowipe_source *source, const autowipe_patience *patience,
                  autowipe_answer *answer)
{
    memset(answer, 0, sizeof *answer);
    for (;;) {
        uint32_t type = 0;
        int how = autowipe_line_receive(line, &type, patience);
        if (how != AUTOWIPE_FINE)
            return how;
        autowipe_unpacking body = {line->body, line->size, 0};
        if (type == AUTOWIPE_RESULT)
            return take_answer(line, &body, answer);
        if (type == AUTOWIPE_SHARE)
            how = share(line, &body);
        else if (type == AUTOWIPE_WANT)
            how = want(line, &body, source, patience);
        else
            how = AUTOWIPE_LOST;
        if (how == AUTOWIPE_FINE) /* an engine that keeps asking is no reason to stay */
            how = autowipe_still_waits(patience);
        if (how != AUTOWIPE_FINE)
            return how;
    }
}
