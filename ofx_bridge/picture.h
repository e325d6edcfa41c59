/* A host's picture in memory: any depth, row bytes of either sign, bounds anywhere.
 *
 * The engine counts rows from the top of the whole picture, the host from its bottom: the turn is made here only.
 */
#ifndef AUTOWIPE_PICTURE_H
#define AUTOWIPE_PICTURE_H

#include <stdint.h>

#include "ofx_abi.h"

enum { AUTOWIPE_BOTH = 0, AUTOWIPE_LOWER = 1, AUTOWIPE_UPPER = 2 }; /* fields of a frame */

typedef struct {
    OfxPropertySetHandle handle; /* NULL: there is no such picture */
    unsigned char *samples;      /* of the pixel (bounds.x1, bounds.y1) */
    ptrdiff_t row_bytes;         /* to the row above */
    OfxRectI bounds;             /* px that are in memory */
    OfxRectI whole;              /* px of the whole picture at this scale */
    int bytes;                   /* of a sample: 1, 2 (integers) or 4 (float) */
    int channels;                /* 4 RGBA, 3 RGB, 1 alpha */
    int is_premultiplied;
    int field; /* AUTOWIPE_LOWER or _UPPER where the picture holds the rows of one field only */
} autowipe_picture;

/* Box in px of the whole picture, y down from its top. */
typedef struct {
    int32_t x, y, w, h;
} autowipe_box;

/* What the engine made for one box: nominal 0..1 RGB, and how each pixel was recovered (0: leave it alone). */
typedef struct {
    autowipe_box box;
    const float *rgb;            /* h rows of w pixels of 3 */
    const unsigned char *labels; /* h rows of w */
} autowipe_plate;

enum { AUTOWIPE_UNTOUCHED, AUTOWIPE_UNBLENDED, AUTOWIPE_BORROWED, AUTOWIPE_INVENTED };
enum { AUTOWIPE_CLEAN, AUTOWIPE_MATTE, AUTOWIPE_PROVENANCE };

typedef struct {
    int view;       /* AUTOWIPE_CLEAN, _MATTE or _PROVENANCE */
    double opacity; /* 0..1 */
    OfxRectI window;
    int field;                    /* write the rows of this field only */
    const autowipe_picture *mask; /* white holds out; NULL is none */
} autowipe_how;

/* Fetches a clip's picture; `picture->handle` is NULL where there is none that can be used. */
void autowipe_picture_fetch(OfxImageClipHandle clip, double time, autowipe_picture *picture);
void autowipe_picture_release(autowipe_picture *picture);

/* `source` into `out` within the window; zero where the source has no pixels. */
void autowipe_picture_copy(const autowipe_picture *out, const autowipe_picture *source, const autowipe_how *how);

/* Puts plates over what autowipe_picture_copy left in `out`; or draws their matte or provenance. */
void autowipe_picture_composite(const autowipe_picture *out, const autowipe_picture *source,
                                const autowipe_plate *plates, int count, const autowipe_how *how);

/* Every `step`-th pixel of every `step`-th row of a box, as float RGB, unpremultiplied; 0 outside the picture. */
void autowipe_picture_read(const autowipe_picture *picture, autowipe_box box, int step, float *rgb);

/* The same for equal pixels, whatever their place in memory. */
uint64_t autowipe_picture_digest(const autowipe_picture *picture);

#endif
