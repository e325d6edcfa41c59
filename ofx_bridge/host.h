/* The host: its suites, what it can do, and property access that survives whatever it lacks. */
#ifndef AUTOWIPE_HOST_H
#define AUTOWIPE_HOST_H

#include "ofx_abi.h"

enum { AUTOWIPE_TEXT = 512 }; /* bytes of a sentence, its end included */

typedef struct {
    const OfxHost *host;
    const OfxPropertySuiteV1 *property;
    const OfxImageEffectSuiteV1 *effect;
    const OfxParameterSuiteV1 *param;
    const OfxMessageSuiteV2 *message;   /* NULL where absent */
    int has_persistent_messages;        /* version 2, and its functions are there */
    const OfxProgressSuiteV1 *progress; /* NULL where absent */
    int has_temporal_access;            /* the host says that other frames than the rendered one can be had */
    char name[128];
} autowipe_host;

/* Filled by autowipe_host_load, only read afterwards. */
extern autowipe_host autowipe_the_host;

/* Fetches the suites; may be called any number of times. OK, or missing host feature. */
OfxStatus autowipe_host_load(const OfxHost *host);

/* Setting what a host does not know is no failure: hosts differ in the optional properties. */
void autowipe_set_int(OfxPropertySetHandle set, const char *name, int index, int value);
void autowipe_set_double(OfxPropertySetHandle set, const char *name, int index, double value);
void autowipe_set_text(OfxPropertySetHandle set, const char *name, int index, const char *value);

int autowipe_get_int(OfxPropertySetHandle set, const char *name, int index, int fallback);
double autowipe_get_double(OfxPropertySetHandle set, const char *name, int index, double fallback);
void *autowipe_get_pointer(OfxPropertySetHandle set, const char *name);
/* Copies at once, since the host's string holds only until the next call. `text` is "" where there is none. */
void autowipe_get_text(OfxPropertySetHandle set, const char *name, char *text, size_t size);
int autowipe_get_rect(OfxPropertySetHandle set, const char *name, OfxRectI *rect); /* 0, or -1 where absent */

/* Shows a sentence at the effect in the host, where it can. An empty one takes the last away. */
void autowipe_show(OfxImageEffectHandle effect, const char *text);
/* Tells a person who has just pressed a button. */
void autowipe_tell(OfxImageEffectHandle effect, const char *text);

#endif
