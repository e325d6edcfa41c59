/* minihost.h: property sets that grow, strings that do not last, pictures with guards around them. */
#define _GNU_SOURCE
#include "minihost.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { GUARD = 64, GUARD_BYTE = 0xA5, TEXT = 4096 };

/* ---- property sets ---- */

typedef struct property {
    char name[96];
    char type; /* i d s p */
    int count;
    union value {
        int i;
        double d;
        char *s;
        void *p;
    } *values;
    struct property *next;
} property;

struct OfxPropertySet {
    property *first;
    mini_host *host;
    int is_picky; /* refuses what the host does not know */
    void *block;  /* of a picture: its memory */
    unsigned char *guarded;
    size_t guarded_size;
};

typedef struct OfxParam {
    char name[64], type[32];
    struct OfxPropertySet set;
    int i;
    double d;
    char *s;
    mini_effect *effect;
    struct OfxParam *next;
} param;

struct OfxParamSet {
    param *first;
    mini_effect *effect;
};

typedef struct OfxImageClip {
    char name[32];
    struct OfxPropertySet set;
    mini_effect *effect;
    const float *rgba;
    int count, width, height, repeats;
    double first;
    struct OfxImageClip *next;
} clip;

struct OfxImageEffect {
    mini_host *host;
    struct OfxPropertySet set;
    struct OfxParamSet params;
    clip *clips;
    pthread_mutex_t lock;
    char message[TEXT];
    double abort_at, seconds;
    atomic_int fetches;
};

struct mini_host {
    void *library;
    OfxPlugin *plugin;
    OfxHost host;
    struct OfxPropertySet set;
    mini_effect descriptor;
    int is_loaded, has_temporal, ignores_time, has_message_2, message_is_wild, has_message, has_progress, is_picky;
    int is_strict; /* values may not be set while rendering */
    int lies_about_scale, hides_frame_range, loads_twice, lacks_description;
    pthread_mutex_t lock;
    char complaints[TEXT];
    atomic_int pictures, sets;
};

static char the_error[TEXT];
static _Thread_local mini_effect *rendering = NULL; /* what this thread renders */
static _Thread_local const mini_how *how_now = NULL;
static _Thread_local double time_now = 0;
static _Thread_local double own_seconds = 0; /* that this host took while the plug-in rendered */
static _Thread_local char lent[TEXT]; /* the string handed out last: the next one takes its place */
static mini_host *only_host = NULL;

static void complain(mini_host *host, const char *text)
{
    pthread_mutex_lock(&host->lock);
    if (!strstr(host->complaints, text) && strlen(host->complaints) + strlen(text) + 2 < TEXT) {
        strcat(host->complaints, text);
        strcat(host->complaints, "\n");
    }
    pthread_mutex_unlock(&host->lock);
}

static double now(void)
{
    struct timespec is;
    clock_gettime(CLOCK_MONOTONIC, &is);
    return (double)is.tv_sec + 1e-9 * (double)is.tv_nsec;
}

static property *find(OfxPropertySetHandle set, const char *name)
{
    property *one = set ? set->first : NULL;
    while (one && strcmp(one->name, name) != 0)
        one = one->next;
    return one;
}

static const char *const KNOWN_TO_ALL[] = {
    "OfxPropLabel", "OfxImageEffectPropSupportedContexts", "OfxImageEffectPropSupportedPixelDepths",
    "OfxImageEffectPropSupportedComponents", "OfxParamPropDefault", "OfxParamPropMin", "OfxParamPropMax",
    "OfxPropInstanceData", "OfxPropName", "OfxPropTime", NULL};

static int refuses(OfxPropertySetHandle set, const char *name)
{
    if (set->host && set->host->lacks_description && strcmp(name, "OfxPropPluginDescription") == 0)
        return 1;
    if (!set->is_picky)
        return 0;
    for (int i = 0; KNOWN_TO_ALL[i]; i++)
        if (strcmp(name, KNOWN_TO_ALL[i]) == 0)
            return 0;
    return 1;
}

static property *slot(OfxPropertySetHandle set, const char *name, char type, int index)
{
    property *one = find(set, name);
    if (!one) {
        one = calloc(1, sizeof *one);
        snprintf(one->name, sizeof one->name, "%s", name);
        one->type = type;
        one->next = set->first;
        set->first = one;
    }
    if (one->type != type)
        return NULL;
    if (index >= one->count) {
        one->values = realloc(one->values, (size_t)(index + 1) * sizeof *one->values);
        memset(one->values + one->count, 0, (size_t)(index + 1 - one->count) * sizeof *one->values);
        one->count = index + 1;
    }
    return one;
}

#define SETTER(NAME, KIND, LETTER, STORE)                                                             \
    static OfxStatus NAME(OfxPropertySetHandle set, const char *name, int index, KIND value)         \
    {                                                                                                 \
        if (!set)                                                                                     \
            return kOfxStatErrBadHandle;                                                              \
        if (refuses(set, name))                                                                       \
            return kOfxStatErrUnknown;                                                                \
        if (index < 0)                                                                                \
            return kOfxStatErrBadIndex;                                                               \
        property *one = slot(set, name, LETTER, index);                                               \
        if (!one)                                                                                     \
            return kOfxStatErrUnknown;                                                                \
        STORE;                                                                                        \
        return kOfxStatOK;                                                                            \
    }
SETTER(set_int, int, 'i', one->values[index].i = value)
SETTER(set_double, double, 'd', one->values[index].d = value)
SETTER(set_pointer, void *, 'p', one->values[index].p = value)
SETTER(set_string, const char *, 's', free(one->values[index].s); one->values[index].s = strdup(value))

#define GETTER(NAME, KIND, LETTER, FIELD)                                                             \
    static OfxStatus NAME(OfxPropertySetHandle set, const char *name, int index, KIND *value)         \
    {                                                                                                 \
        property *one = find(set, name);                                                              \
        if (!set)                                                                                     \
            return kOfxStatErrBadHandle;                                                              \
        if (!one || one->type != LETTER)                                                              \
            return kOfxStatErrUnknown;                                                                \
        if (index < 0 || index >= one->count)                                                         \
            return kOfxStatErrBadIndex;                                                               \
        *value = one->values[index].FIELD;                                                            \
        return kOfxStatOK;                                                                            \
    }
GETTER(get_int, int, 'i', i)
GETTER(get_double, double, 'd', d)
GETTER(get_pointer, void *, 'p', p)
GETTER(look_string, char *, 's', s)

static OfxStatus get_string(OfxPropertySetHandle set, const char *name, int index, char **value)
{
    char *held = NULL;
    OfxStatus status = look_string(set, name, index, &held);
    if (status != kOfxStatOK)
        return status;
    memset(lent, '?', 64); /* whoever kept the last one without copying sees it now */
    snprintf(lent, sizeof lent, "%s", held ? held : "");
    *value = lent;
    return kOfxStatOK;
}

static OfxStatus get_dimension(OfxPropertySetHandle set, const char *name, int *count)
{
    property *one = find(set, name);
    if (!one)
        return kOfxStatErrUnknown;
    *count = one->count;
    return kOfxStatOK;
}

static void empty(OfxPropertySetHandle set)
{
    while (set->first) {
        property *next = set->first->next;
        for (int i = 0; set->first->type == 's' && i < set->first->count; i++)
            free(set->first->values[i].s);
        free(set->first->values);
        free(set->first);
        set->first = next;
    }
}

static const OfxPropertySuiteV1 PROPERTIES = {
    .propSetPointer = set_pointer, .propSetString = set_string, .propSetDouble = set_double, .propSetInt = set_int,
    .propGetPointer = get_pointer, .propGetString = get_string, .propGetDouble = get_double, .propGetInt = get_int,
    .propGetDimension = get_dimension};

/* ---- parameters ---- */

static OfxStatus param_define(OfxParamSetHandle set, const char *type, const char *name, OfxPropertySetHandle *out)
{
    for (param *one = set->first; one; one = one->next)
        if (strcmp(one->name, name) == 0)
            complain(set->effect->host, "a parameter is defined twice");
    param *made = calloc(1, sizeof *made);
    snprintf(made->name, sizeof made->name, "%s", name);
    snprintf(made->type, sizeof made->type, "%s", type);
    made->set.host = set->effect->host, made->set.is_picky = set->effect->host->is_picky;
    made->effect = set->effect;
    made->next = set->first;
    set->first = made;
    if (out)
        *out = &made->set;
    return kOfxStatOK;
}

static param *param_named(OfxParamSetHandle set, const char *name)
{
    param *one = set->first;
    while (one && strcmp(one->name, name) != 0)
        one = one->next;
    return one;
}

static OfxStatus param_get_handle(OfxParamSetHandle set, const char *name, OfxParamHandle *out,
                                  OfxPropertySetHandle *properties)
{
    param *one = param_named(set, name);
    if (!one)
        return kOfxStatErrUnknown;
    *out = one;
    if (properties)
        *properties = &one->set;
    return kOfxStatOK;
}

static OfxStatus param_read(param *one, va_list to)
{
    if (!one)
        return kOfxStatErrBadHandle;
    if (strcmp(one->type, "OfxParamTypeDouble") == 0) {
        *va_arg(to, double *) = one->d;
    } else if (strcmp(one->type, "OfxParamTypeString") == 0) {
        memset(lent, '?', 64);
        pthread_mutex_lock(&one->effect->lock);
        snprintf(lent, sizeof lent, "%s", one->s ? one->s : "");
        pthread_mutex_unlock(&one->effect->lock);
        *va_arg(to, char **) = lent;
    } else if (strcmp(one->type, "OfxParamTypePushButton") == 0) {
        return kOfxStatErrUnsupported;
    } else {
        *va_arg(to, int *) = one->i;
    }
    return kOfxStatOK;
}

static OfxStatus param_get(OfxParamHandle one, ...)
{
    va_list to;
    va_start(to, one);
    if (rendering)
        complain(one->effect->host, "paramGetValue is called while rendering");
    OfxStatus status = param_read(one, to);
    va_end(to);
    return status;
}

static OfxStatus param_get_at(OfxParamHandle one, OfxTime time, ...)
{
    va_list to;
    va_start(to, time);
    OfxStatus status = param_read(one, to);
    va_end(to);
    return status;
}

static OfxStatus param_set(OfxParamHandle one, ...)
{
    if (rendering) {
        complain(one->effect->host, "paramSetValue is called while rendering");
        if (one->effect->host->is_strict)
            return kOfxStatFailed;
    }
    va_list from;
    va_start(from, one);
    pthread_mutex_lock(&one->effect->lock);
    if (strcmp(one->type, "OfxParamTypeDouble") == 0) {
        one->d = va_arg(from, double);
    } else if (strcmp(one->type, "OfxParamTypeString") == 0) {
        const char *text = va_arg(from, const char *);
        free(one->s);
        one->s = strdup(text);
    } else {
        one->i = va_arg(from, int);
    }
    pthread_mutex_unlock(&one->effect->lock);
    va_end(from);
    return kOfxStatOK;
}

static const OfxParameterSuiteV1 PARAMETERS = {.paramDefine = param_define, .paramGetHandle = param_get_handle,
                                               .paramGetValue = param_get, .paramGetValueAtTime = param_get_at,
                                               .paramSetValue = param_set};

/* ---- clips and pictures ---- */

static OfxStatus effect_properties(OfxImageEffectHandle effect, OfxPropertySetHandle *out)
{
    *out = &effect->set;
    return kOfxStatOK;
}

static OfxStatus effect_params(OfxImageEffectHandle effect, OfxParamSetHandle *out)
{
    *out = &effect->params;
    return kOfxStatOK;
}

static OfxStatus clip_define(OfxImageEffectHandle effect, const char *name, OfxPropertySetHandle *out)
{
    clip *made = calloc(1, sizeof *made);
    snprintf(made->name, sizeof made->name, "%s", name);
    made->set.host = effect->host, made->set.is_picky = effect->host->is_picky;
    made->effect = effect;
    made->next = effect->clips;
    effect->clips = made;
    *out = &made->set;
    return kOfxStatOK;
}

static OfxStatus clip_get(OfxImageEffectHandle effect, const char *name, OfxImageClipHandle *out,
                          OfxPropertySetHandle *properties)
{
    clip *one = effect->clips;
    while (one && strcmp(one->name, name) != 0)
        one = one->next;
    if (!one)
        return kOfxStatErrBadHandle;
    *out = one;
    if (properties)
        *properties = &one->set;
    return kOfxStatOK;
}

static OfxStatus clip_properties(OfxImageClipHandle one, OfxPropertySetHandle *out)
{
    *out = &one->set;
    return kOfxStatOK;
}

static const float *picture_at(const clip *one, double time)
{
    int number = (int)(time - one->first + (time < one->first ? -0.5 : 0.5));
    if (!one->rgba || !one->count)
        return NULL;
    if (one->repeats)
        number = ((number % one->count) + one->count) % one->count;
    if (number < 0 || number >= one->count)
        return NULL;
    return one->rgba + (size_t)number * 4 * (size_t)one->width * (size_t)one->height;
}

static void store(unsigned char *at, int bytes, float value)
{
    float held = value < 0 ? 0 : value > 1 ? 1 : value;
    uint16_t deep = (uint16_t)(held * 65535.f + 0.5f);
    if (bytes == 1)
        *at = (unsigned char)(held * 255.f + 0.5f);
    else if (bytes == 2)
        memcpy(at, &deep, 2);
    else
        memcpy(at, &value, 4);
}

static float load(const unsigned char *at, int bytes)
{
    uint16_t deep;
    float value;
    if (bytes == 1)
        return *at / 255.f;
    memcpy(&deep, at, 2);
    if (bytes == 2)
        return deep / 65535.f;
    memcpy(&value, at, 4);
    return value;
}

/* Memory with guards and padded rows, and the properties that describe it. `rgba`: top row first. */
static OfxPropertySetHandle make_picture(mini_host *host, const mini_how *how, int width, int height,
                                         const float *rgba)
{
    int rows = how->has_field_rows ? height / 2 : height;
    size_t row = (size_t)width * 4 * (size_t)how->bytes + 20 * (size_t)how->bytes, size = row * (size_t)rows;
    OfxPropertySetHandle set = calloc(1, sizeof *set);
    set->host = host;
    set->block = malloc(size + 2 * GUARD);
    memset(set->block, GUARD_BYTE, size + 2 * GUARD);
    set->guarded = (unsigned char *)set->block + GUARD, set->guarded_size = size;
    unsigned char *lowest = set->guarded + (how->is_top_down ? row * (size_t)(rows - 1) : 0);
    ptrdiff_t step = how->is_top_down ? -(ptrdiff_t)row : (ptrdiff_t)row;
    for (int y = 0; rgba && y < rows; y++) {
        int from = how->has_field_rows ? 2 * y + (how->field == 2) : y; /* from the bottom */
        const float *line = rgba + (size_t)(height - 1 - from) * 4 * (size_t)width;
        for (int i = 0; i < 4 * width; i++)
            store(lowest + y * step + i * how->bytes, how->bytes, line[i]);
    }
    const int bounds[4] = {how->left, how->bottom, how->left + width, how->bottom + rows};
    set_pointer(set, "OfxImagePropData", 0, lowest);
    set_int(set, "OfxImagePropRowBytes", 0, (int)step);
    for (int i = 0; i < 4; i++) {
        set_int(set, "OfxImagePropBounds", i, bounds[i]);
        if (!host->is_picky)
            set_int(set, "OfxImagePropRegionOfDefinition", i, bounds[i]);
    }
    set_string(set, "OfxImageEffectPropComponents", 0, "OfxImageComponentRGBA");
    set_string(set, "OfxImageEffectPropPixelDepth", 0,
               how->bytes == 1 ? "OfxBitDepthByte" : how->bytes == 2 ? "OfxBitDepthShort" : "OfxBitDepthFloat");
    set_string(set, "OfxImagePropField", 0,
               !how->has_field_rows ? "OfxFieldNone" : how->field == 1 ? "OfxFieldLower" : "OfxFieldUpper");
    set_string(set, "OfxImageEffectPropPreMultiplication", 0,
               how->is_premultiplied ? "OfxImageAlphaPremultiplied" : "OfxImageAlphaUnPremultiplied");
    atomic_fetch_add(&host->pictures, 1);
    return set;
}

static _Thread_local OfxPropertySetHandle output_now = NULL;
static const mini_how PLAIN = {.bytes = 4};

static OfxStatus clip_image(OfxImageClipHandle one, OfxTime time, const OfxRectD *region, OfxPropertySetHandle *out)
{
    mini_host *host = one->effect->host;
    (void)region;
    if (strcmp(one->name, "Output") == 0) {
        if (!rendering)
            complain(host, "the output is fetched outside of a render");
        atomic_fetch_add(&host->pictures, 1);
        *out = output_now;
        return *out ? kOfxStatOK : kOfxStatFailed;
    }
    atomic_fetch_add(&one->effect->fetches, 1);
    const float *rgba = picture_at(one, host->ignores_time && rendering ? time_now : time);
    if (!rgba)
        return kOfxStatFailed;
    double start = now();
    *out = make_picture(host, how_now ? how_now : &PLAIN, one->width, one->height, rgba);
    own_seconds += now() - start;
    return kOfxStatOK;
}

static void free_picture(OfxPropertySetHandle picture)
{
    for (int i = 0; i < GUARD; i++)
        if (((unsigned char *)picture->block)[i] != GUARD_BYTE ||
            picture->guarded[picture->guarded_size + (size_t)i] != GUARD_BYTE)
            complain(picture->host, "memory around a picture is written");
    empty(picture);
    free(picture->block);
    free(picture);
}

static OfxStatus clip_release(OfxPropertySetHandle picture)
{
    if (!picture)
        return kOfxStatErrBadHandle;
    atomic_fetch_sub(&picture->host->pictures, 1);
    double start = now();
    if (picture != output_now)
        free_picture(picture);
    own_seconds += now() - start;
    return kOfxStatOK;
}

static OfxStatus clip_region(OfxImageClipHandle one, OfxTime time, OfxRectD *out)
{
    (void)time;
    *out = (OfxRectD){0, 0, one->width, one->height};
    return kOfxStatOK;
}

static int effect_abort(OfxImageEffectHandle effect)
{
    pthread_mutex_lock(&effect->lock);
    int is = effect->abort_at >= 0 && now() >= effect->abort_at;
    pthread_mutex_unlock(&effect->lock);
    return is;
}

static const OfxImageEffectSuiteV1 EFFECTS = {
    .getPropertySet = effect_properties, .getParamSet = effect_params, .clipDefine = clip_define,
    .clipGetHandle = clip_get, .clipGetPropertySet = clip_properties, .clipGetImage = clip_image,
    .clipReleaseImage = clip_release, .clipGetRegionOfDefinition = clip_region, .abort = effect_abort};

/* ---- messages, progress ---- */

static OfxStatus say(void *handle, const char *type, const char *id, const char *format, ...)
{
    mini_effect *effect = handle;
    va_list values;
    (void)type, (void)id;
    va_start(values, format);
    pthread_mutex_lock(&effect->lock);
    vsnprintf(effect->message, TEXT, format, values);
    pthread_mutex_unlock(&effect->lock);
    va_end(values);
    return kOfxStatOK;
}

static OfxStatus pop_up(void *handle, const char *type, const char *id, const char *format, ...)
{
    mini_effect *effect = handle;
    (void)type, (void)id, (void)format;
    if (rendering)
        complain(effect->host, "a window is opened while rendering");
    return kOfxStatOK;
}

static OfxStatus unsay(void *handle)
{
    mini_effect *effect = handle;
    pthread_mutex_lock(&effect->lock);
    effect->message[0] = 0;
    pthread_mutex_unlock(&effect->lock);
    return kOfxStatOK;
}

static const OfxMessageSuiteV2 MESSAGES = {pop_up, say, unsay};
static const OfxMessageSuiteV2 WILD = {pop_up, NULL, (OfxStatus(*)(void *))(uintptr_t)0x10};

static OfxStatus progress_start(void *effect, const char *label) { return (void)effect, (void)label, kOfxStatOK; }
static OfxStatus progress_update(void *handle, double share)
{
    (void)share;
    return effect_abort(handle) ? kOfxStatReplyNo : kOfxStatOK;
}
static OfxStatus progress_end(void *effect) { return (void)effect, kOfxStatOK; }
static const OfxProgressSuiteV1 PROGRESS = {progress_start, progress_update, progress_end};

static const void *fetch_suite(OfxPropertySetHandle handle, const char *name, int version)
{
    mini_host *host = only_host;
    (void)handle;
    if (!host->is_loaded)
        complain(host, "a suite is fetched before Load");
    if (strcmp(name, "OfxPropertySuite") == 0 && version == 1)
        return &PROPERTIES;
    if (strcmp(name, "OfxImageEffectSuite") == 0 && version == 1)
        return &EFFECTS;
    if (strcmp(name, "OfxParameterSuite") == 0 && version == 1)
        return &PARAMETERS;
    if (strcmp(name, "OfxMessageSuite") == 0 && version == 2 && host->has_message_2)
        return host->message_is_wild ? &WILD : &MESSAGES;
    if (strcmp(name, "OfxMessageSuite") == 0 && version == 1 && host->has_message)
        return &MESSAGES;
    if (strcmp(name, "OfxProgressSuite") == 0 && version == 1 && host->has_progress)
        return &PROGRESS;
    return NULL;
}

/* ---- the host ---- */

static OfxStatus act(mini_host *host, const char *action, void *handle, OfxPropertySetHandle in,
                     OfxPropertySetHandle out)
{
    return host->plugin->mainEntry(action, handle, in, out);
}

const char *mini_error(void) { return the_error; }

mini_host *mini_open(const char *library, const char *profile)
{
    mini_host *host = calloc(1, sizeof *host);
    only_host = host;
    pthread_mutex_init(&host->lock, NULL);
    pthread_mutex_init(&host->descriptor.lock, NULL);
    host->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!host->library) {
        snprintf(the_error, TEXT, "%s", dlerror());
        return NULL;
    }
    const char *name = "mini";
    host->has_message = host->has_message_2 = host->has_progress = host->has_temporal = 1;
    if (strcmp(profile, "resolve") == 0)
        name = "DaVinciResolve", host->message_is_wild = host->lacks_description = 1;
    if (strcmp(profile, "nuke") == 0)
        name = "uk.co.thefoundry.nuke", host->is_strict = 1;
    if (strcmp(profile, "vegas") == 0)
        name = "com.sonycreativesoftware.vegas", host->has_message_2 = host->has_temporal = 0, host->lies_about_scale = 1;
    if (strcmp(profile, "mlt") == 0) {
        name = "MLT", host->has_temporal = host->has_progress = 0;
        host->ignores_time = host->hides_frame_range = host->loads_twice = 1;
    }
    if (strcmp(profile, "minimal") == 0)
        host->has_message = host->has_message_2 = host->has_progress = host->has_temporal = 0, host->is_picky = 1;
    set_string(&host->set, "OfxPropName", 0, name);
    if (strcmp(profile, "minimal") != 0)
        set_int(&host->set, "OfxImageEffectPropTemporalClipAccess", 0, host->has_temporal);
    host->host = (OfxHost){&host->set, fetch_suite};
    OfxPlugin *(*get)(int) = (OfxPlugin * (*)(int)) dlsym(host->library, "OfxGetPlugin");
    int (*count)(void) = (int (*)(void))dlsym(host->library, "OfxGetNumberOfPlugins");
    if (!get || !count || count() != 1 || !(host->plugin = get(0)) || get(1) || get(-1)) {
        snprintf(the_error, TEXT, "the library is no plug-in");
        return NULL;
    }
    host->plugin->setHost(&host->host);
    host->is_loaded = 1;
    for (int i = 0; i <= host->loads_twice; i++)
        if (act(host, "OfxActionLoad", NULL, NULL, NULL) != kOfxStatOK) {
            snprintf(the_error, TEXT, "Load failed");
            return NULL;
        }
    return host;
}

static void forget(mini_effect *effect)
{
    empty(&effect->set);
    while (effect->params.first) {
        param *next = effect->params.first->next;
        empty(&effect->params.first->set);
        free(effect->params.first->s);
        free(effect->params.first);
        effect->params.first = next;
    }
    while (effect->clips) {
        clip *next = effect->clips->next;
        empty(&effect->clips->set);
        free(effect->clips);
        effect->clips = next;
    }
}

int mini_reload(mini_host *host)
{
    OfxStatus status = act(host, "OfxActionUnload", NULL, NULL, NULL);
    return status == kOfxStatOK ? act(host, "OfxActionLoad", NULL, NULL, NULL) : status;
}

void mini_close(mini_host *host)
{
    act(host, "OfxActionUnload", NULL, NULL, NULL);
    forget(&host->descriptor);
    empty(&host->set);
    dlclose(host->library);
    free(host);
}

const char *mini_complaints(mini_host *host) { return host->complaints; }
int mini_left_over(mini_host *host) { return host->pictures + host->sets; }

int mini_describe(mini_host *host, const char *context)
{
    struct OfxPropertySet in = {.host = host};
    forget(&host->descriptor);
    host->descriptor.host = host;
    host->descriptor.set.host = host, host->descriptor.set.is_picky = host->is_picky;
    host->descriptor.params.effect = &host->descriptor;
    OfxStatus status = act(host, "OfxActionDescribe", &host->descriptor, NULL, NULL);
    if (status != kOfxStatOK)
        return status;
    set_string(&in, "OfxImageEffectPropContext", 0, context);
    status = act(host, "OfxImageEffectActionDescribeInContext", &host->descriptor, &in, NULL);
    empty(&in);
    return status;
}

const char *mini_described_text(mini_host *host, const char *name, int index)
{
    char *text = NULL;
    return look_string(&host->descriptor.set, name, index, &text) == kOfxStatOK ? text : NULL;
}

int mini_described_number(mini_host *host, const char *name)
{
    int value = -1;
    get_int(&host->descriptor.set, name, 0, &value);
    return value;
}

const char *mini_param_text(mini_host *host, const char *name, const char *property)
{
    char *text = NULL;
    param *one = param_named(&host->descriptor.params, name);
    return one && look_string(&one->set, property, 0, &text) == kOfxStatOK ? text : NULL;
}

static double number_of(OfxPropertySetHandle set, const char *name, double fallback)
{
    int whole;
    double value;
    if (get_int(set, name, 0, &whole) == kOfxStatOK)
        return whole;
    return get_double(set, name, 0, &value) == kOfxStatOK ? value : fallback;
}

double mini_param_number(mini_host *host, const char *name, const char *property)
{
    param *one = param_named(&host->descriptor.params, name);
    return one ? number_of(&one->set, property, -1e99) : -1e99;
}

int mini_has_clip(mini_host *host, const char *name)
{
    OfxImageClipHandle one;
    return clip_get(&host->descriptor, name, &one, NULL) == kOfxStatOK;
}

mini_effect *mini_create(mini_host *host)
{
    mini_effect *made = calloc(1, sizeof *made);
    made->host = host;
    made->set.host = host, made->set.is_picky = host->is_picky;
    made->params.effect = made;
    made->abort_at = -1;
    pthread_mutex_init(&made->lock, NULL);
    for (param *one = host->descriptor.params.first; one; one = one->next) {
        char *text = NULL;
        param_define(&made->params, one->type, one->name, NULL);
        param *copy = made->params.first;
        copy->d = number_of(&one->set, "OfxParamPropDefault", 0);
        copy->i = (int)copy->d;
        look_string(&one->set, "OfxParamPropDefault", 0, &text);
        copy->s = strdup(text ? text : "");
    }
    for (clip *one = host->descriptor.clips; one; one = one->next) {
        OfxPropertySetHandle set;
        clip_define(made, one->name, &set);
    }
    if (act(host, "OfxActionCreateInstance", made, NULL, NULL) != kOfxStatOK) {
        forget(made);
        free(made);
        return NULL;
    }
    return made;
}

void mini_destroy(mini_effect *effect)
{
    act(effect->host, "OfxActionDestroyInstance", effect, NULL, NULL);
    forget(effect);
    pthread_mutex_destroy(&effect->lock);
    free(effect);
}

void mini_set_text(mini_effect *effect, const char *name, const char *value)
{
    param *one = param_named(&effect->params, name);
    pthread_mutex_lock(&effect->lock);
    free(one->s);
    one->s = strdup(value);
    pthread_mutex_unlock(&effect->lock);
}

void mini_set_number(mini_effect *effect, const char *name, double value)
{
    param *one = param_named(&effect->params, name);
    one->d = value, one->i = (int)value;
}

const char *mini_get_text(mini_effect *effect, const char *name) { return param_named(&effect->params, name)->s; }

double mini_get_number(mini_effect *effect, const char *name)
{
    param *one = param_named(&effect->params, name);
    return strcmp(one->type, "OfxParamTypeDouble") == 0 ? one->d : one->i;
}

int mini_edited(mini_effect *effect, const char *name, double time)
{
    struct OfxPropertySet in = {.host = effect->host};
    set_string(&in, "OfxPropType", 0, "OfxTypeParameter");
    set_string(&in, "OfxPropName", 0, name);
    set_string(&in, "OfxPropChangeReason", 0, "OfxChangeUserEdited");
    set_double(&in, "OfxPropTime", 0, time);
    act(effect->host, "OfxActionBeginInstanceChanged", effect, &in, NULL);
    OfxStatus status = act(effect->host, "OfxActionInstanceChanged", effect, &in, NULL);
    act(effect->host, "OfxActionEndInstanceChanged", effect, &in, NULL);
    empty(&in);
    return status;
}

void mini_pictures(mini_effect *effect, const char *name, const float *rgba, int count, int width, int height,
                   double first, int repeats)
{
    OfxImageClipHandle one = NULL;
    clip_get(effect, name, &one, NULL);
    one->rgba = rgba, one->count = count, one->width = width, one->height = height;
    one->first = first, one->repeats = repeats;
    if (!effect->host->hides_frame_range && !effect->host->is_picky) {
        set_double(&one->set, "OfxImageEffectPropFrameRange", 0, first);
        set_double(&one->set, "OfxImageEffectPropFrameRange", 1, repeats ? first + 1e6 : first + count - 1);
    }
}

static void render_args(mini_effect *effect, OfxPropertySetHandle in, double time, const mini_how *how,
                        const int window[4])
{
    static const char *const FIELDS[] = {"OfxFieldNone", "OfxFieldLower", "OfxFieldUpper"};
    set_double(in, "OfxPropTime", 0, time);
    set_string(in, "OfxImageEffectPropFieldToRender", 0, FIELDS[how->field]);
    for (int i = 0; i < 4; i++)
        set_int(in, "OfxImageEffectPropRenderWindow", i, window[i]);
    for (int i = 0; i < 2; i++)
        set_double(in, "OfxImageEffectPropRenderScale", i, effect->host->lies_about_scale ? 0.5 : 1);
    set_int(in, "OfxImageEffectPropInteractiveRenderStatus", 0, !how->is_final);
}

int mini_render(mini_effect *effect, double time, const mini_how *how, float *rgba)
{
    OfxImageClipHandle source = NULL;
    clip_get(effect, "Source", &source, NULL);
    mini_host *host = effect->host;
    int width = source->width, height = source->height, rows = how->has_field_rows ? height / 2 : height;
    int window[4] = {how->left, how->bottom, how->left + width, how->bottom + rows};
    if (how->window[2] > how->window[0])
        for (int i = 0; i < 4; i++)
            window[i] = how->window[i] + (i % 2 ? how->bottom : how->left);
    struct OfxPropertySet in = {.host = NULL};
    render_args(effect, &in, time, how, window);
    OfxPropertySetHandle output = make_picture(host, how, width, height, NULL);
    atomic_fetch_sub(&host->pictures, 1);
    rendering = effect, time_now = time, how_now = how, output_now = output;
    act(host, "OfxImageEffectActionBeginSequenceRender", effect, &in, NULL);
    own_seconds = 0;
    double start = now();
    OfxStatus status = act(host, "OfxImageEffectActionRender", effect, &in, NULL);
    double took = now() - start - own_seconds;
    pthread_mutex_lock(&effect->lock);
    effect->seconds = took;
    pthread_mutex_unlock(&effect->lock);
    act(host, "OfxImageEffectActionEndSequenceRender", effect, &in, NULL);
    rendering = NULL, how_now = NULL, output_now = NULL;
    void *data = NULL;
    int step = 0, is_spoilt = 0, size = 4 * how->bytes;
    get_pointer(output, "OfxImagePropData", 0, &data);
    get_int(output, "OfxImagePropRowBytes", 0, &step);
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < width; x++) {
            const unsigned char *at = (unsigned char *)data + (ptrdiff_t)y * step + (ptrdiff_t)x * size;
            int is_in = x + how->left >= window[0] && x + how->left < window[2] && y + how->bottom >= window[1] &&
                        y + how->bottom < window[3];
            int is_own = how->field == 0 || how->has_field_rows || (y & 1) == (how->field == 2);
            if (!is_in || !is_own)
                for (int i = 0; i < size; i++)
                    is_spoilt |= at[i] != GUARD_BYTE;
            for (int c = 0; rgba && c < 4; c++)
                rgba[((size_t)(rows - 1 - y) * (size_t)width + (size_t)x) * 4 + (size_t)c] =
                    is_in && is_own ? load(at + c * how->bytes, how->bytes) : -1;
        }
    empty(&in);
    free_picture(output);
    if (is_spoilt)
        complain(host, "pixels outside the render window are written");
    return is_spoilt ? -1 : status;
}

typedef struct {
    mini_effect *const *effects;
    int effects_count, count;
    const double *times;
    const mini_how *how;
    float *rgba;
    size_t picture;
    atomic_int next, failed;
} job;

static void *work(void *about)
{
    job *all = about;
    for (int i; (i = atomic_fetch_add(&all->next, 1)) < all->count;) {
        float *rgba = all->rgba ? all->rgba + (size_t)i * all->picture : NULL;
        if (mini_render(all->effects[i % all->effects_count], all->times[i], all->how, rgba) != kOfxStatOK)
            atomic_fetch_add(&all->failed, 1);
    }
    return NULL;
}

int mini_render_many(mini_effect *const *effects, int effects_count, const double *times, int count, int threads,
                     const mini_how *how, float *rgba)
{
    OfxImageClipHandle source = NULL;
    pthread_t made[64];
    clip_get(effects[0], "Source", &source, NULL);
    job all = {.effects = effects, .effects_count = effects_count, .count = count, .times = times, .how = how};
    all.rgba = rgba;
    all.picture = 4 * (size_t)source->width * (size_t)source->height;
    for (int i = 0; i < threads; i++)
        pthread_create(&made[i], NULL, work, &all);
    for (int i = 0; i < threads; i++)
        pthread_join(made[i], NULL);
    return all.failed;
}

int mini_frames_needed(mini_effect *effect, double time, double range[2])
{
    struct OfxPropertySet in = {.host = NULL}, out = {.host = NULL};
    set_double(&in, "OfxPropTime", 0, time);
    OfxStatus status = act(effect->host, "OfxImageEffectActionGetFramesNeeded", effect, &in, &out);
    range[0] = range[1] = time;
    for (int i = 0; i < 2; i++)
        get_double(&out, "OfxImageClipPropFrameRange_Source", i, &range[i]);
    empty(&in), empty(&out);
    return status;
}

int mini_is_identity(mini_effect *effect, double time)
{
    struct OfxPropertySet in = {.host = NULL}, out = {.host = NULL};
    set_double(&in, "OfxPropTime", 0, time);
    OfxStatus status = act(effect->host, "OfxImageEffectActionIsIdentity", effect, &in, &out);
    char *name = NULL;
    int is = status == kOfxStatOK && look_string(&out, "OfxPropName", 0, &name) == kOfxStatOK;
    empty(&in), empty(&out);
    return is;
}

void mini_abort_in(mini_effect *effect, double seconds)
{
    pthread_mutex_lock(&effect->lock);
    effect->abort_at = seconds < 0 ? -1 : now() + seconds;
    pthread_mutex_unlock(&effect->lock);
}

const char *mini_message(mini_effect *effect) { return effect->message; }
double mini_fetches(mini_effect *effect) { return effect->fetches; }
double mini_seconds(mini_effect *effect) { return effect->seconds; }
