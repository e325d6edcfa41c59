/* params.h: one table; every number has its limits twice, since some hosts take missing ones for 0. */
#include "params.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    const char *name, *type, *label, *hint;
    double fallback, least, most; /* numbers only */
    int is_animated, is_file, is_hidden, re_renders;
} row;

#define FLAG "OfxParamTypeBoolean"
#define NUMBER "OfxParamTypeDouble"
#define WHOLE "OfxParamTypeInteger"
#define STRING "OfxParamTypeString"
#define BUTTON "OfxParamTypePushButton"

/* Names are kept in projects: they never change. */
static const row ROWS[AUTOWIPE_PARAM_COUNT] = {
    [AUTOWIPE_PLAN] = {"planFile", STRING, "Plan file",
                       "The plan that Analyse or `autowipe perceive CLIP -o PLAN.json` made for this clip. Without one, "
                       "what stays in place is learned from the frames as they are rendered.",
                       .is_file = 1, .re_renders = 1},
    [AUTOWIPE_OFFSET] = {"frameOffset", WHOLE, "Frame offset",
                         "Frame of the plan's clip that is shown at time 0: how much was trimmed off its start.", 0,
                         -10000000, 10000000, .re_renders = 1},
    [AUTOWIPE_MEDIA] = {"mediaFile", STRING, "Clip to analyse",
                        "The file that this clip plays. Left empty, Analyse reads the frames from this program.",
                        .is_file = 1},
    [AUTOWIPE_ANALYSE_BUTTON] = {"analyse", BUTTON, "Analyse", "Looks for overlays and makes a plan.", .re_renders = 0},
    [AUTOWIPE_LOGO] = {"logo", FLAG, "Logos", "Wipe logos, bugs and score bars that stay in place.", 1, .re_renders = 1},
    [AUTOWIPE_DYNAMIC] = {"dynamic", FLAG, "Moving marks", "Wipe logos and effect text that blink or move.", 1,
                          .re_renders = 1},
    [AUTOWIPE_SUBTITLE] = {"subtitle", FLAG, "Subtitles", "Wipe subtitles.", 1, .re_renders = 1},
    [AUTOWIPE_WATERMARK] = {"watermark", FLAG, "Watermarks", "Wipe tiled or full-frame translucent marks.", 1,
                            .re_renders = 1},
    [AUTOWIPE_SHOW_MATTE] = {"showMatte", FLAG, "Show matte", "Show what is wiped, white on black.", .re_renders = 1},
    [AUTOWIPE_SHOW_PROVENANCE] = {"showProvenance", FLAG, "Show provenance",
                                  "Show how each pixel was recovered: dark blue un-blended, light blue borrowed from "
                                  "another frame, orange invented.",
                                  .re_renders = 1},
    [AUTOWIPE_HOLD_OUT] = {"holdOut", FLAG, "Hold out the mask",
                           "Leave alone what is white in the Mask input. Where there is no such input it does nothing.",
                           .re_renders = 1},
    [AUTOWIPE_OPACITY] = {"opacity", NUMBER, "Opacity", "How much of the clean picture is put over the source.", 1, 0, 1,
                          .is_animated = 1, .re_renders = 1},
    [AUTOWIPE_WAIT] = {"wait", NUMBER, "Longest wait (s)",
                       "How long a frame may wait for the engine before the source is passed on unchanged.", 60, 0,
                       3600, .re_renders = 0},
    [AUTOWIPE_MUST_WIPE] = {"failWithoutEngine", FLAG, "Fail the final render if the engine is missing",
                            "Off, a frame that could not be wiped is passed on unchanged, with a message.",
                            .re_renders = 0},
    [AUTOWIPE_STATUS_LINE] = {"status", STRING, "Engine", "What the engine said last.", .re_renders = 0},
    [AUTOWIPE_ENGINE_BUTTON] = {"startEngine", BUTTON, "Start engine",
                                "Starts the engine if need be and says how it is.", .re_renders = 0},
    [AUTOWIPE_FROM_FRAMES] = {"fromFrames", FLAG, "From frames", "", .is_hidden = 1, .re_renders = 1},
};

const char *autowipe_param_name(int number) { return ROWS[number].name; }

static void limit(OfxPropertySetHandle set, const row *about, void (*put)(OfxPropertySetHandle, const char *, double))
{
    put(set, "OfxParamPropDefault", about->fallback);
    put(set, "OfxParamPropMin", about->least);
    put(set, "OfxParamPropMax", about->most);
    put(set, "OfxParamPropDisplayMin", about->least < -100000 ? -100000 : about->least);
    put(set, "OfxParamPropDisplayMax", about->most > 100000 ? 100000 : about->most);
}

static void put_whole(OfxPropertySetHandle set, const char *name, double value)
{
    autowipe_set_int(set, name, 0, (int)value);
}

static void put_number(OfxPropertySetHandle set, const char *name, double value)
{
    autowipe_set_double(set, name, 0, value);
}

OfxStatus autowipe_params_define(OfxParamSetHandle set)
{
    for (int i = 0; i < AUTOWIPE_PARAM_COUNT; i++) {
        const row *about = &ROWS[i];
        OfxPropertySetHandle made = NULL;
        OfxStatus status = autowipe_the_host.param->paramDefine(set, about->type, about->name, &made);
        if (status != kOfxStatOK)
            return status;
        autowipe_set_text(made, "OfxPropLabel", 0, about->label);
        autowipe_set_text(made, "OfxParamPropHint", 0, about->hint);
        autowipe_set_text(made, "OfxParamPropScriptName", 0, about->name);
        if (about->is_hidden)
            autowipe_set_int(made, "OfxParamPropSecret", 0, 1);
        if (strcmp(about->type, BUTTON) == 0)
            continue;
        autowipe_set_int(made, "OfxParamPropAnimates", 0, about->is_animated);
        autowipe_set_int(made, "OfxParamPropEvaluateOnChange", 0, about->re_renders);
        if (strcmp(about->type, NUMBER) == 0) {
            limit(made, about, put_number);
            autowipe_set_text(made, "OfxParamPropDoubleType", 0, "OfxParamDoubleTypePlain");
        } else if (strcmp(about->type, WHOLE) == 0) {
            limit(made, about, put_whole);
        } else if (strcmp(about->type, FLAG) == 0) {
            autowipe_set_int(made, "OfxParamPropDefault", 0, (int)about->fallback);
        } else {
            autowipe_set_text(made, "OfxParamPropDefault", 0, "");
            autowipe_set_text(made, "OfxParamPropStringMode", 0,
                              about->is_file ? "OfxParamStringIsFilePath" : "OfxParamStringIsSingleLine");
            if (about->is_file)
                autowipe_set_int(made, "OfxParamPropStringFilePathExists", 0, 1);
        }
        if (i == AUTOWIPE_STATUS_LINE)
            autowipe_set_int(made, "OfxParamPropEnabled", 0, 0);
    }
    return kOfxStatOK;
}

OfxStatus autowipe_params_find(OfxParamSetHandle set, autowipe_params *params)
{
    for (int i = 0; i < AUTOWIPE_PARAM_COUNT; i++) {
        params->handles[i] = NULL;
        autowipe_the_host.param->paramGetHandle(set, ROWS[i].name, &params->handles[i], NULL);
    }
    return kOfxStatOK;
}

static int read_int(const autowipe_params *params, int number, double time)
{
    int value = (int)ROWS[number].fallback;
    OfxParamHandle handle = params->handles[number];
    int got = value;
    if (handle && autowipe_the_host.param->paramGetValueAtTime(handle, time, &got) == kOfxStatOK)
        value = got;
    return value;
}

static double read_double(const autowipe_params *params, int number, double time)
{
    double value = ROWS[number].fallback, got = value;
    OfxParamHandle handle = params->handles[number];
    if (handle && autowipe_the_host.param->paramGetValueAtTime(handle, time, &got) == kOfxStatOK)
        value = got;
    /* Not a number is the fallback. */
    return value >= ROWS[number].least && value <= ROWS[number].most ? value : ROWS[number].fallback;
}

static void read_text(const autowipe_params *params, int number, double time, char *text, size_t size)
{
    char *got = NULL;
    OfxParamHandle handle = params->handles[number];
    text[0] = 0;
    if (handle && autowipe_the_host.param->paramGetValueAtTime(handle, time, &got) == kOfxStatOK && got)
        snprintf(text, size, "%s", got);
}

void autowipe_params_read(const autowipe_params *params, double time, autowipe_values *values)
{
    read_text(params, AUTOWIPE_PLAN, time, values->plan, sizeof values->plan);
    read_text(params, AUTOWIPE_MEDIA, time, values->media, sizeof values->media);
    values->offset = read_int(params, AUTOWIPE_OFFSET, time);
    values->kinds = 0;
    for (int i = 0; i < 4; i++)
        values->kinds |= read_int(params, AUTOWIPE_LOGO + i, time) ? 1u << i : 0;
    values->shows_matte = read_int(params, AUTOWIPE_SHOW_MATTE, time);
    values->shows_provenance = read_int(params, AUTOWIPE_SHOW_PROVENANCE, time);
    values->holds_out = read_int(params, AUTOWIPE_HOLD_OUT, time);
    values->must_wipe = read_int(params, AUTOWIPE_MUST_WIPE, time);
    values->is_from_frames = read_int(params, AUTOWIPE_FROM_FRAMES, time);
    values->opacity = read_double(params, AUTOWIPE_OPACITY, time);
    values->wait_s = read_double(params, AUTOWIPE_WAIT, time);
}

void autowipe_param_set_text(const autowipe_params *params, int number, const char *text)
{
    if (params->handles[number])
        autowipe_the_host.param->paramSetValue(params->handles[number], text);
}

void autowipe_param_set_int(const autowipe_params *params, int number, int value)
{
    if (params->handles[number])
        autowipe_the_host.param->paramSetValue(params->handles[number], value);
}
