/* What plug-in and engine say to each other about a frame, an analysis and their state. The engine asks for what it
 * needs of the host's pictures; the plug-in only fetches, and knows nothing of overlays. */
#ifndef AUTOWIPE_DIALOGUE_H
#define AUTOWIPE_DIALOGUE_H

#include "link.h"
#include "picture.h"

enum { AUTOWIPE_MOST_PLATES = 64 }; /* of one frame */

/* What the engine has to know of a frame or an analysis. */
typedef struct {
    const char *session; /* tells effects apart, so that what one has learned stays with it */
    const char *plan;    /* path, or "" */
    const char *media;   /* path of the clip to analyse, or "" for the host's frames */
    int frame_offset;    /* frame of the plan's clip at time 0 */
    unsigned kinds;      /* bits: logo, dynamic, subtitle, watermark */
    double time;
    double first, last; /* times that the source has; last < first where not known */
    int width, height;  /* of the whole picture, px */
    int field;          /* of which the picture holds the rows, or AUTOWIPE_BOTH */
    int can_fetch;      /* other frames can be had */
} autowipe_request;

/* Gives the source at a time; its `handle` is NULL where there is none. */
typedef struct {
    void (*fetch)(void *about, double time, autowipe_picture *picture);
    void (*release)(void *about, autowipe_picture *picture);
    int (*progress)(void *about, double share, const char *text); /* 0 to go on; NULL where nobody looks */
    void *about;
} autowipe_source;

enum { AUTOWIPE_DONE = 0, AUTOWIPE_NOT_YET, AUTOWIPE_WRONG }; /* the engine's states */

typedef struct {
    int state;
    char text[AUTOWIPE_TEXT]; /* a sentence for a person; may be "" */
    char plan[AUTOWIPE_PATH]; /* of an analysis: where the plan is or will be */
    int count;
    autowipe_plate plates[AUTOWIPE_MOST_PLATES]; /* lie in the line's shared memory */
} autowipe_answer;

/* `type`: AUTOWIPE_RENDER, _ANALYSE or _STATUS. AUTOWIPE_FINE, or how the line was lost. */
int autowipe_ask(autowipe_line *line, uint32_t type, const autowipe_request *request);
int autowipe_hear(autowipe_line *line, const autowipe_source *source, const autowipe_patience *patience,
                  autowipe_answer *answer);

#endif
