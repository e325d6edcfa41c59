/* The OpenFX plug-in AutoWipe: what hosts call, and what is done about it.
 *
 * A frame is the source, with the engine's plates over it. Without engine or plate it is the source, and a message
 * says why; a final render fails instead where the user wants that.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dialogue.h"
#include "host.h"
#include "params.h"
#include "picture.h"

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

enum {
    NEIGHBOURS = 4,  /* frames before and after the rendered one that the host is told to keep at hand */
    BUTTON_WAIT_S = 20, /* for an engine that is being started */
    ANALYSIS_S = 24 * 3600
};

static const OfxHost *the_host = NULL;

/* One effect on one clip. Only `shown` changes after it is made. */
typedef struct {
    OfxImageEffectHandle effect;
    OfxImageClipHandle source, output, mask; /* mask: NULL where the context has none */
    autowipe_params params;
    char session[33];
    autowipe_lock lock;
    char shown[AUTOWIPE_TEXT]; /* by `lock`: the message that the host shows */
} instance;

static void set_host(OfxHost *host) { the_host = host; }

static OfxPropertySetHandle properties_of(OfxImageEffectHandle effect)
{
    OfxPropertySetHandle set = NULL;
    return autowipe_the_host.effect->getPropertySet(effect, &set) == kOfxStatOK ? set : NULL;
}

static instance *instance_of(OfxImageEffectHandle effect)
{
    return autowipe_get_pointer(properties_of(effect), "OfxPropInstanceData");
}

static OfxStatus load(OfxImageEffectHandle effect, OfxPropertySetHandle in, OfxPropertySetHandle out)
{
    (void)effect, (void)in, (void)out;
    return autowipe_host_load(the_host);
}

static OfxStatus unload(OfxImageEffectHandle effect, OfxPropertySetHandle in, OfxPropertySetHandle out)
{
    (void)effect, (void)in, (void)out;
    autowipe_lines_close();
    return kOfxStatOK;
}

static OfxStatus describe(OfxImageEffectHandle effect, OfxPropertySetHandle in, OfxPropertySetHandle out)
{
    (void)in, (void)out;
    OfxPropertySetHandle set = properties_of(effect);
    autowipe_set_text(set, "OfxPropLabel", 0, "AutoWipe");
    autowipe_set_text(set, "OfxPropShortLabel", 0, "AutoWipe");
    autowipe_set_text(set, "OfxPropLongLabel", 0, "AutoWipe: remove overlays");
    autowipe_set_text(set, "OfxPropPluginDescription", 0,
                      "Takes burnt-in logos, subtitles and watermarks out of the picture and leaves the rest alone.");
    autowipe_set_text(set, "OfxImageEffectPluginPropGrouping", 0, "Video/Cleanup");
    autowipe_set_text(set, "OfxImageEffectPropSupportedContexts", 0, "OfxImageEffectContextFilter");
    autowipe_set_text(set, "OfxImageEffectPropSupportedContexts", 1, "OfxImageEffectContextGeneral");
    autowipe_set_text(set, "OfxImageEffectPropSupportedPixelDepths", 0, "OfxBitDepthFloat");
    autowipe_set_text(set, "OfxImageEffectPropSupportedPixelDepths", 1, "OfxBitDepthShort");
    autowipe_set_text(set, "OfxImageEffectPropSupportedPixelDepths", 2, "OfxBitDepthByte");
    autowipe_set_int(set, "OfxImageEffectPluginPropSingleInstance", 0, 0);
    autowipe_set_int(set, "OfxImageEffectPluginPropHostFrameThreading", 0, 0);
    autowipe_set_text(set, "OfxImageEffectPluginRenderThreadSafety", 0, "OfxImageEffectRenderFullySafe");
    autowipe_set_int(set, "OfxImageEffectPropSupportsMultiResolution", 0, 1);
    autowipe_set_int(set, "OfxImageEffectPropSupportsTiles", 0, 0);
    autowipe_set_int(set, "OfxImageEffectPropMultipleClipDepths", 0, 0);
    autowipe_set_int(set, "OfxImageEffectPropSupportsMultipleClipPARs", 0, 0);
    autowipe_set_int(set, "OfxImageEffectPropTemporalClipAccess", 0, 1);
    autowipe_set_int(set, "OfxImageEffectPluginPropFieldRenderTwiceAlways", 0, 0);
    return kOfxStatOK;
}

static OfxStatus define_clip(OfxImageEffectHandle effect, const char *name, int is_optional, int is_mask)
{
    OfxPropertySetHandle set = NULL;
    OfxStatus status = autowipe_the_host.effect->clipDefine(effect, name, &set);
    if (status != kOfxStatOK)
        return status;
    int next = 0;
    if (is_mask)
        autowipe_set_text(set, "OfxImageEffectPropSupportedComponents", next++, "OfxImageComponentAlpha");
    autowipe_set_text(set, "OfxImageEffectPropSupportedComponents", next, "OfxImageComponentRGBA");
    autowipe_set_int(set, "OfxImageEffectPropTemporalClipAccess", 0, strcmp(name, "Source") == 0);
    autowipe_set_int(set, "OfxImageEffectPropSupportsTiles", 0, 0);
    autowipe_set_int(set, "OfxImageClipPropOptional", 0, is_optional);
    autowipe_set_int(set, "OfxImageClipPropIsMask", 0, is_mask);
    autowipe_set_text(set, "OfxImageClipPropFieldExtraction", 0, "OfxFieldBoth"); /* whole frames, fields woven */
    return kOfxStatOK;
}

static OfxStatus describe_in_context(OfxImageEffectHandle effect, OfxPropertySetHandle in, OfxPropertySetHandle out)
{
    (void)out;
    char context[64];
    autowipe_get_text(in, "OfxImageEffectPropContext", context, sizeof context);
    OfxStatus status = define_clip(effect, "Source", 0, 0);
    if (status == kOfxStatOK)
        status = define_clip(effect, "Output", 0, 0);
    if (status == kOfxStatOK && strcmp(context, "OfxImageEffectContextGeneral") == 0)
        status = define_clip(effect, "Mask", 1, 1);
    OfxParamSetHandle params = NULL;
    if (status == kOfxStatOK)
        status = autowipe_the_host.effect->getParamSet(effect, &params);
    return status == kOfxStatOK ? autowipe_params_define(params) : status;
}

static OfxImageClipHandle clip_of(OfxImageEffectHandle effect, const char *name)
{
    OfxImageClipHandle clip = NULL;
    return autowipe_the_host.effect->clipGetHandle(effect, name, &clip, NULL) == kOfxStatOK ? clip : NULL;
}

static OfxStatus create_instance(OfxImageEffectHandle effect, OfxPropertySetHandle in, OfxPropertySetHandle out)
{
    (void)in, (void)out;
    unsigned char random[16];
    instance *made = calloc(1, sizeof *made);
    OfxParamSetHandle params = NULL;
    if (!made)
        return kOfxStatErrMemory;
    made->effect = effect;
    made->lock = (autowipe_lock)AUTOWIPE_LOCK;
    made->source = clip_of(effect, "Source");
    made->output = clip_of(effect, "Output");
    made->mask = clip_of(effect, "Mask");
    if (!made->source || !made->output || autowipe_random(random, sizeof random) != 0 ||
        autowipe_the_host.effect->getParamSet(effect, &params) != kOfxStatOK) {
        free(made);
        return kOfxStatFailed;
    }
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(made->session + 2 * i, 3, "%02x", random[i]);
    autowipe_params_find(params, &made->params);
    OfxStatus status =
        autowipe_the_host.property->propSetPointer(properties_of(effect), "OfxPropInstanceData", 0, made);
    if (status != kOfxStatOK)
        free(made);
    return status;
}

static OfxStatus destroy_instance(OfxImageEffectHandle effect, OfxPropertySetHandle in, OfxPropertySetHandle out)
{
    (void)in, (void)out;
    free(instance_of(effect));
    autowipe_the_host.property->propSetPointer(properties_of(effect), "OfxPropInstanceData", 0, NULL);
    return kOfxStatOK;
}

/* Shows a sentence in the host; the same one is not shown again. */
static void show(instance *self, const char *text)
{
    autowipe_lock_take(&self->lock);
    if (strcmp(self->shown, text) != 0) {
        snprintf(self->shown, sizeof self->shown, "%s", text);
        autowipe_show(self->effect, text);
    }
    autowipe_lock_give(&self->lock);
}

/* Times that the source has; last < first where the host does not say. */
static void source_times(const instance *self, double *first, double *last)
{
    OfxPropertySetHandle set = NULL;
    autowipe_the_host.effect->clipGetPropertySet(self->source, &set);
    *first = autowipe_get_double(set, "OfxImageEffectPropFrameRange", 0, 0);
    *last = autowipe_get_double(set, "OfxImageEffectPropFrameRange", 1, *first - 1);
}

static OfxStatus frames_needed(OfxImageEffectHandle effect, OfxPropertySetHandle in, OfxPropertySetHandle out)
{
    instance *self = instance_of(effect);
    double time = autowipe_get_double(in, "OfxPropTime", 0, 0), first, last;
    autowipe_values values;
    if (!self || !autowipe_the_host.has_temporal_access)
        return kOfxStatReplyDefault;
    autowipe_params_read(&self->params, time, &values);
    double from = time, to = time;
    if (!*values.plan || values.is_from_frames) { /* else the plates come from the plan's own clip */
        from -= NEIGHBOURS, to += NEIGHBOURS;
        source_times(self, &first, &last);
        if (last >= first) {
            from = fmin(time, fmax(from, first));
            to = fmax(time, fmin(to, last));
        }
    }
    autowipe_set_double(out, "OfxImageClipPropFrameRange_Source", 0, from);
    autowipe_set_double(out, "OfxImageClipPropFrameRange_Source", 1, to);
    return kOfxStatOK;
}

static OfxStatus clip_preferences(OfxImageEffectHandle effect, OfxPropertySetHandle in, OfxPropertySetHandle out)
{
    (void)effect, (void)in;
    autowipe_set_int(out, "OfxImageEffectFrameVarying", 0, 1); /* a still under a plan that changes */
    return kOfxStatOK;
}

static OfxStatus is_identity(OfxImageEffectHandle effect, OfxPropertySetHandle in, OfxPropertySetHandle out)
{
    instance *self = instance_of(effect);
    double time = autowipe_get_double(in, "OfxPropTime", 0, 0);
    autowipe_values values;
    if (!self)
        return kOfxStatReplyDefault;
    autowipe_params_read(&self->params, time, &values);
    int shows = values.shows_matte || values.shows_provenance;
    /* Never for a missing engine: hosts keep this answer. */
    if (shows || (values.opacity > 0 && values.kinds))
        return kOfxStatReplyDefault;
    autowipe_set_text(out, "OfxPropName", 0, "Source");
    autowipe_set_double(out, "OfxPropTime", 0, time);
    return kOfxStatOK;
}

/* What a render has in hand while it speaks with the engine. */
typedef struct {
    instance *self;
    double time;
    const autowipe_picture *picture; /* the source at `time`, already fetched */
} rendering;

static int is_stopped(void *about) { return autowipe_the_host.effect->abort(((rendering *)about)->self->effect); }

static void fetch_source(void *about, double time, autowipe_picture *picture)
{
    rendering *now = about;
    if (now->picture && time == now->time)
        *picture = *now->picture;
    else
        autowipe_picture_fetch(now->self->source, time, picture);
}

static void release_source(void *about, autowipe_picture *picture)
{
    rendering *now = about;
    if (!now->picture || picture->handle != now->picture->handle)
        autowipe_picture_release(picture);
}

static autowipe_request request_of(const instance *self, const autowipe_values *values, double time)
{
    autowipe_request made = {.session = self->session, .plan = values->plan, .media = values->media};
    made.frame_offset = values->offset;
    made.kinds = values->kinds;
    made.time = time;
    source_times(self, &made.first, &made.last);
    made.can_fetch = autowipe_the_host.has_temporal_access;
    return made;
}

/* The source, with the engine's plates over it. Says in `why` what kept it from that: 1 where it was wiped. */
static int wipe(rendering *now, const autowipe_values *values, const autowipe_picture *out, autowipe_how *how,
                char why[AUTOWIPE_TEXT])
{
    const autowipe_picture *source = now->picture;
    autowipe_request request = request_of(now->self, values, now->time);
    request.width = source->whole.x2 - source->whole.x1;
    request.height = source->whole.y2 - source->whole.y1;
    request.field = source->field;
    autowipe_patience patience = {autowipe_now() + values->wait_s, is_stopped, now};
    autowipe_source pictures = {fetch_source, release_source, NULL, now};
    autowipe_line *line = NULL;
    autowipe_answer *answer = malloc(sizeof *answer);
    int state = answer ? autowipe_line_take(&line, 1, &patience, why) : AUTOWIPE_NO_ENGINE;
    if (state == AUTOWIPE_FINE)
        state = autowipe_ask(line, AUTOWIPE_RENDER, &request);
    autowipe_picture_copy(out, source, how); /* while the engine thinks */
    if (line) {
        if (state == AUTOWIPE_FINE)
            state = autowipe_hear(line, &pictures, &patience, answer);
        if (state == AUTOWIPE_LOST)
            snprintf(why, AUTOWIPE_TEXT, "The line to AutoWipe's engine broke. The picture is unchanged.");
        if (state == AUTOWIPE_TOO_SLOW)
            snprintf(why, AUTOWIPE_TEXT,
                     "AutoWipe's engine did not finish this frame in %d s. The picture is unchanged.",
                     (int)values->wait_s);
    }
    if (state == AUTOWIPE_FINE) {
        snprintf(why, AUTOWIPE_TEXT, "%s", answer->text);
        autowipe_picture_composite(out, source, answer->plates, answer->count, how);
    }
    int is_wiped = state == AUTOWIPE_STOPPED || (state == AUTOWIPE_FINE && answer->state == AUTOWIPE_DONE);
    if (line)
        autowipe_line_give(line, state == AUTOWIPE_FINE);
    free(answer);
    return is_wiped;
}

static int field_of(OfxPropertySetHandle in)
{
    char field[32];
    autowipe_get_text(in, "OfxImageEffectPropFieldToRender", field, sizeof field);
    return strcmp(field, "OfxFieldLower") == 0   ? AUTOWIPE_LOWER
           : strcmp(field, "OfxFieldUpper") == 0 ? AUTOWIPE_UPPER
                                                 : AUTOWIPE_BOTH;
}

/* Fills the output's window: 1 where all was done that should be, 0 where a frame was passed on as it was. */
static int render_picture(instance *self, double time, const autowipe_values *values, const autowipe_picture *out,
                          autowipe_how *how, char why[AUTOWIPE_TEXT])
{
    autowipe_picture source, mask = {.handle = NULL};
    autowipe_picture_fetch(self->source, time, &source);
    rendering now = {self, time, &source};
    int is_done = 1;
    if (source.handle && values->opacity > 0 && values->kinds) {
        if (values->holds_out && self->mask)
            autowipe_picture_fetch(self->mask, time, &mask);
        how->mask = mask.handle ? &mask : NULL;
        is_done = wipe(&now, values, out, how, why);
        autowipe_picture_release(&mask);
    } else {
        autowipe_picture_copy(out, &source, how);
        if (how->view != AUTOWIPE_CLEAN)
            autowipe_picture_composite(out, &source, NULL, 0, how);
    }
    autowipe_picture_release(&source);
    return is_done;
}

static OfxStatus render(OfxImageEffectHandle effect, OfxPropertySetHandle in, OfxPropertySetHandle out)
{
    (void)out;
    instance *self = instance_of(effect);
    double time = autowipe_get_double(in, "OfxPropTime", 0, 0);
    int is_interactive = autowipe_get_int(in, "OfxImageEffectPropInteractiveRenderStatus", 0, 0);
    char why[AUTOWIPE_TEXT] = "";
    autowipe_values values;
    autowipe_picture output;
    if (!self)
        return kOfxStatErrBadHandle;
    autowipe_params_read(&self->params, time, &values);
    autowipe_picture_fetch(self->output, time, &output);
    if (!output.handle)
        return kOfxStatFailed; /* nowhere to write */
    autowipe_how how = {.opacity = values.opacity, .field = field_of(in)};
    how.view = values.shows_provenance ? AUTOWIPE_PROVENANCE : values.shows_matte ? AUTOWIPE_MATTE : AUTOWIPE_CLEAN;
    if (autowipe_get_rect(in, "OfxImageEffectPropRenderWindow", &how.window) != 0)
        how.window = output.bounds;
    int is_done = render_picture(self, time, &values, &output, &how, why);
    autowipe_picture_release(&output);
    show(self, why);
    return is_done || is_interactive || !values.must_wipe ? kOfxStatOK : kOfxStatFailed;
}

static int show_progress(void *about, double share, const char *text)
{
    rendering *now = about;
    (void)text;
    const OfxProgressSuiteV1 *suite = autowipe_the_host.progress;
    return suite && suite->progressUpdate && suite->progressUpdate(now->self->effect, share) == kOfxStatReplyNo;
}

/* Main thread; for a button. Says in `answer->text` how it went. */
static int speak(instance *self, uint32_t type, const autowipe_request *request, double wait_s, autowipe_answer *answer)
{
    rendering now = {self, request->time, NULL};
    autowipe_patience start = {autowipe_now() + BUTTON_WAIT_S, NULL, NULL}, patience = {0, NULL, NULL};
    autowipe_source pictures = {fetch_source, release_source, show_progress, &now};
    autowipe_line *line = NULL;
    memset(answer, 0, sizeof *answer);
    int state = autowipe_line_take(&line, 1, &start, answer->text);
    if (state != AUTOWIPE_FINE)
        return state;
    patience.end = autowipe_now() + wait_s;
    state = autowipe_ask(line, type, request);
    if (state == AUTOWIPE_FINE)
        state = autowipe_hear(line, &pictures, &patience, answer);
    if (state == AUTOWIPE_STOPPED)
        snprintf(answer->text, sizeof answer->text, "Stopped; nothing has changed.");
    else if (state != AUTOWIPE_FINE)
        snprintf(answer->text, sizeof answer->text, "AutoWipe's engine did not finish; see its log.");
    autowipe_line_give(line, state == AUTOWIPE_FINE);
    return state;
}

static void analyse(instance *self, const autowipe_values *values, double time)
{
    autowipe_request request = request_of(self, values, time);
    autowipe_answer *answer = malloc(sizeof *answer);
    const OfxProgressSuiteV1 *suite = autowipe_the_host.progress;
    int is_from_frames = !*values->media;
    if (!answer)
        return;
    if (is_from_frames) {
        autowipe_picture picture;
        autowipe_picture_fetch(self->source, time, &picture);
        request.width = picture.whole.x2 - picture.whole.x1;
        request.height = picture.whole.y2 - picture.whole.y1;
        request.field = picture.field;
        autowipe_picture_release(&picture);
    }
    int shows = is_from_frames && suite && suite->progressStart &&
                suite->progressStart(self->effect, "AutoWipe looks for overlays") == kOfxStatOK;
    int state = speak(self, AUTOWIPE_ANALYSE, &request, ANALYSIS_S, answer);
    if (shows && suite->progressEnd)
        suite->progressEnd(self->effect);
    if (state == AUTOWIPE_FINE && *answer->plan) {
        autowipe_param_set_int(&self->params, AUTOWIPE_FROM_FRAMES, is_from_frames);
        if (is_from_frames) /* the plan's frame 0 is the clip's first */
            autowipe_param_set_int(&self->params, AUTOWIPE_OFFSET, (int)-floor(request.first + 0.5));
        autowipe_param_set_text(&self->params, AUTOWIPE_PLAN, answer->plan);
    }
    autowipe_param_set_text(&self->params, AUTOWIPE_STATUS_LINE, answer->text);
    autowipe_tell(self->effect, answer->text);
    free(answer);
}

static void ask_status(instance *self, const autowipe_values *values, double time)
{
    autowipe_request request = request_of(self, values, time);
    autowipe_answer *answer = malloc(sizeof *answer);
    if (!answer)
        return;
    speak(self, AUTOWIPE_STATUS, &request, BUTTON_WAIT_S, answer);
    autowipe_param_set_text(&self->params, AUTOWIPE_STATUS_LINE, answer->text);
    free(answer);
}

static OfxStatus instance_changed(OfxImageEffectHandle effect, OfxPropertySetHandle in, OfxPropertySetHandle out)
{
    (void)out;
    instance *self = instance_of(effect);
    double time = autowipe_get_double(in, "OfxPropTime", 0, 0);
    char reason[32], name[64];
    autowipe_values values;
    autowipe_get_text(in, "OfxPropChangeReason", reason, sizeof reason);
    autowipe_get_text(in, "OfxPropName", name, sizeof name);
    if (!self || strcmp(reason, "OfxChangeUserEdited") != 0)
        return kOfxStatReplyDefault;
    autowipe_params_read(&self->params, time, &values);
    if (strcmp(name, autowipe_param_name(AUTOWIPE_ANALYSE_BUTTON)) == 0) {
        analyse(self, &values, time);
    } else if (strcmp(name, autowipe_param_name(AUTOWIPE_ENGINE_BUTTON)) == 0) {
        ask_status(self, &values, time);
    } else {
        if (strcmp(name, autowipe_param_name(AUTOWIPE_PLAN)) == 0)
            autowipe_param_set_int(&self->params, AUTOWIPE_FROM_FRAMES, strstr(values.plan, ".frames.json") != NULL);
        char shown[AUTOWIPE_TEXT];
        autowipe_lock_take(&self->lock);
        memcpy(shown, self->shown, sizeof shown);
        autowipe_lock_give(&self->lock);
        autowipe_param_set_text(&self->params, AUTOWIPE_STATUS_LINE, shown);
    }
    return kOfxStatOK;
}

static OfxStatus region_of_interest(OfxImageEffectHandle effect, OfxPropertySetHandle in, OfxPropertySetHandle out)
{
    (void)in;
    instance *self = instance_of(effect);
    OfxRectD whole;
    double time = autowipe_get_double(in, "OfxPropTime", 0, 0);
    if (!self || autowipe_the_host.effect->clipGetRegionOfDefinition(self->source, time, &whole) != kOfxStatOK)
        return kOfxStatReplyDefault;
    const double sides[4] = {whole.x1, whole.y1, whole.x2, whole.y2};
    for (int i = 0; i < 4; i++) /* plates are found by the whole picture */
        autowipe_set_double(out, "OfxImageClipPropRoI_Source", i, sides[i]);
    return kOfxStatOK;
}

typedef struct {
    const char *name;
    OfxStatus (*act)(OfxImageEffectHandle, OfxPropertySetHandle, OfxPropertySetHandle);
} action;

static const action ACTIONS[] = {
    {"OfxActionLoad", load},
    {"OfxActionUnload", unload},
    {"OfxActionDescribe", describe},
    {"OfxImageEffectActionDescribeInContext", describe_in_context},
    {"OfxActionCreateInstance", create_instance},
    {"OfxActionDestroyInstance", destroy_instance},
    {"OfxActionInstanceChanged", instance_changed},
    {"OfxImageEffectActionGetFramesNeeded", frames_needed},
    {"OfxImageEffectActionGetRegionsOfInterest", region_of_interest},
    {"OfxImageEffectActionGetClipPreferences", clip_preferences},
    {"OfxImageEffectActionIsIdentity", is_identity},
    {"OfxImageEffectActionRender", render},
};

static OfxStatus main_entry(const char *name, const void *handle, OfxPropertySetHandle in, OfxPropertySetHandle out)
{
    for (size_t i = 0; i < sizeof ACTIONS / sizeof *ACTIONS; i++) {
        if (strcmp(name, ACTIONS[i].name) != 0)
            continue;
        if (!autowipe_the_host.property && ACTIONS[i].act != load && load(NULL, NULL, NULL) != kOfxStatOK)
            return kOfxStatErrMissingHostFeature; /* a host that forgot to load */
        return ACTIONS[i].act((OfxImageEffectHandle)(size_t)handle, in, out);
    }
    return kOfxStatReplyDefault;
}

static OfxPlugin plugin = {"OfxImageEffectPluginAPI", 1, "org.autowipe.AutoWipe", 0, 1, set_host, main_entry};

EXPORT int OfxGetNumberOfPlugins(void) { return 1; }

EXPORT OfxPlugin *OfxGetPlugin(int number) { return number == 0 ? &plugin : NULL; }
