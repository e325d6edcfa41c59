/* The effect's controls: their names, how hosts are told of them, and their values. */
#ifndef AUTOWIPE_PARAMS_H
#define AUTOWIPE_PARAMS_H

#include "host.h"
#include "system.h"

enum {
    AUTOWIPE_PLAN,
    AUTOWIPE_OFFSET,
    AUTOWIPE_MEDIA,
    AUTOWIPE_ANALYSE_BUTTON,
    AUTOWIPE_LOGO,
    AUTOWIPE_DYNAMIC,
    AUTOWIPE_SUBTITLE,
    AUTOWIPE_WATERMARK,
    AUTOWIPE_SHOW_MATTE,
    AUTOWIPE_SHOW_PROVENANCE,
    AUTOWIPE_HOLD_OUT,
    AUTOWIPE_OPACITY,
    AUTOWIPE_WAIT,
    AUTOWIPE_MUST_WIPE,
    AUTOWIPE_STATUS_LINE,
    AUTOWIPE_ENGINE_BUTTON,
    AUTOWIPE_FROM_FRAMES, /* hidden: the plan was made from the host's frames, so rendering needs neighbours */
    AUTOWIPE_PARAM_COUNT
};

/* Handles of an instance's controls, by the numbers above. */
typedef struct {
    OfxParamHandle handles[AUTOWIPE_PARAM_COUNT];
} autowipe_params;

/* Values at one time. */
typedef struct {
    char plan[AUTOWIPE_PATH], media[AUTOWIPE_PATH];
    int offset;
    unsigned kinds; /* bits in the order logo, dynamic, subtitle, watermark */
    int shows_matte, shows_provenance, holds_out, must_wipe, is_from_frames;
    double opacity; /* 0..1 */
    double wait_s;
} autowipe_values;

OfxStatus autowipe_params_define(OfxParamSetHandle set);
OfxStatus autowipe_params_find(OfxParamSetHandle set, autowipe_params *params);
void autowipe_params_read(const autowipe_params *params, double time, autowipe_values *values);
const char *autowipe_param_name(int number);
/* Only from actions in which a host lets values be set: never while rendering. */
void autowipe_param_set_text(const autowipe_params *params, int number, const char *text);
void autowipe_param_set_int(const autowipe_params *params, int number, int value);

#endif
