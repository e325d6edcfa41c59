/* An OpenFX host without a picture on a screen: loads the plug-in, describes it, renders, and watches what it does.
 *
 * Driven from Python through the functions below. Profiles imitate what real hosts lack or do in their own way.
 */
#ifndef MINIHOST_H
#define MINIHOST_H

#include "../../ofx_bridge/ofx_abi.h"

typedef struct mini_host mini_host;
typedef struct OfxImageEffect mini_effect;

/* How one picture is laid out and asked for. */
typedef struct {
    int bytes;           /* of a sample: 1, 2 or 4 */
    int is_top_down;     /* negative row bytes */
    int left, bottom;    /* where the bounds begin */
    int window[4];       /* x1 y1 x2 y2, relative to the bounds; all 0 is the whole picture */
    int field;           /* to render: 0 both, 1 lower, 2 upper */
    int has_field_rows;  /* pictures hold the rows of that field only */
    int is_final;        /* not interactive */
    int is_premultiplied;
} mini_how;

/* "resolve", "nuke", "vegas", "mlt" or "minimal". NULL, and mini_error() says why. */
mini_host *mini_open(const char *library, const char *profile);
const char *mini_error(void);
void mini_close(mini_host *host); /* unloads */
int mini_reload(mini_host *host); /* Unload, then Load again */
/* What the plug-in did that it must not, one sentence a line. */
const char *mini_complaints(mini_host *host);
int mini_left_over(mini_host *host); /* pictures not released, property sets not freed */

int mini_describe(mini_host *host, const char *context);
const char *mini_described_text(mini_host *host, const char *property, int index);
int mini_described_number(mini_host *host, const char *property);
const char *mini_param_text(mini_host *host, const char *param, const char *property);
double mini_param_number(mini_host *host, const char *param, const char *property); /* -1e99 where absent */
int mini_has_clip(mini_host *host, const char *clip);

mini_effect *mini_create(mini_host *host);
void mini_destroy(mini_effect *effect);
void mini_set_text(mini_effect *effect, const char *param, const char *value);
void mini_set_number(mini_effect *effect, const char *param, double value);
const char *mini_get_text(mini_effect *effect, const char *param);
double mini_get_number(mini_effect *effect, const char *param);
/* Presses a button or reports a value as edited by the user. */
int mini_edited(mini_effect *effect, const char *param, double time);

/* Pictures of a clip, top row first, RGBA float: frame i is at time first + i; beyond, there is none, or, with
   `repeats`, they come round again. The memory stays the caller's. */
void mini_pictures(mini_effect *effect, const char *clip, const float *rgba, int count, int width, int height,
                   double first, int repeats);
/* Renders into `rgba`, top row first; what the plug-in does not write is -1. The action's status; -1 where memory
   around the picture or outside the window was written. */
int mini_render(mini_effect *effect, double time, const mini_how *how, float *rgba);
/* Many at once: effects[i % effects_count] at times[i]. `rgba` may be NULL. How many did not end with OK. */
int mini_render_many(mini_effect *const *effects, int effects_count, const double *times, int count, int threads,
                     const mini_how *how, float *rgba);
int mini_frames_needed(mini_effect *effect, double time, double range[2]);
int mini_is_identity(mini_effect *effect, double time);
void mini_abort_in(mini_effect *effect, double seconds); /* from now; negative is never */
const char *mini_message(mini_effect *effect);           /* shown last; "" when taken away */
double mini_fetches(mini_effect *effect);                /* pictures fetched so far */
double mini_seconds(mini_effect *effect);                /* that the plug-in took for the last render, without ours */

#endif
