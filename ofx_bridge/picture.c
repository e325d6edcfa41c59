/* picture.h: rows are addressed by ptrdiff_t, values are looked at as float RGBA only where they must be. */
#include "picture.h"

#include <math.h>
#include <string.h>

#include "host.h"

/* RGB, 0..1; as core/autowipe/sidecars.py has them. */
static const float COLOURS[4][3] = {
    {0, 0, 0}, {0, 114 / 255.f, 178 / 255.f}, {86 / 255.f, 180 / 255.f, 233 / 255.f}, {213 / 255.f, 94 / 255.f, 0}};

static int smaller(int a, int b) { return a < b ? a : b; }
static int larger(int a, int b) { return a > b ? a : b; }

void autowipe_picture_fetch(OfxImageClipHandle clip, double time, autowipe_picture *picture)
{
    OfxPropertySetHandle handle = NULL;
    char text[64];
    memset(picture, 0, sizeof *picture);
    if (!clip || autowipe_the_host.effect->clipGetImage(clip, time, NULL, &handle) != kOfxStatOK || !handle)
        return;
    picture->handle = handle;
    picture->samples = autowipe_get_pointer(handle, "OfxImagePropData");
    picture->row_bytes = autowipe_get_int(handle, "OfxImagePropRowBytes", 0, 0);
    autowipe_get_text(handle, "OfxImageEffectPropPixelDepth", text, sizeof text);
    picture->bytes = strcmp(text, "OfxBitDepthByte") == 0    ? 1
                     : strcmp(text, "OfxBitDepthShort") == 0 ? 2
                     : strcmp(text, "OfxBitDepthFloat") == 0 ? 4
                                                             : 0;
    autowipe_get_text(handle, "OfxImageEffectPropComponents", text, sizeof text);
    picture->channels = strcmp(text, "OfxImageComponentRGBA") == 0    ? 4
                        : strcmp(text, "OfxImageComponentRGB") == 0   ? 3
                        : strcmp(text, "OfxImageComponentAlpha") == 0 ? 1
                                                                      : 0;
    autowipe_get_text(handle, "OfxImageEffectPropPreMultiplication", text, sizeof text);
    picture->is_premultiplied = strcmp(text, "OfxImageAlphaPremultiplied") == 0;
    autowipe_get_text(handle, "OfxImagePropField", text, sizeof text);
    picture->field = strcmp(text, "OfxFieldLower") == 0   ? AUTOWIPE_LOWER
                     : strcmp(text, "OfxFieldUpper") == 0 ? AUTOWIPE_UPPER
                                                          : AUTOWIPE_BOTH;
    int is_sound = autowipe_get_rect(handle, "OfxImagePropBounds", &picture->bounds) == 0;
    if (autowipe_get_rect(handle, "OfxImagePropRegionOfDefinition", &picture->whole) != 0 ||
        picture->whole.x2 <= picture->whole.x1 || picture->whole.y2 <= picture->whole.y1)
        picture->whole = picture->bounds;
    ptrdiff_t row = (ptrdiff_t)(picture->bounds.x2 - picture->bounds.x1) * picture->channels * picture->bytes;
    if (!is_sound || !picture->samples || row <= 0 || picture->bounds.y2 <= picture->bounds.y1 ||
        (picture->row_bytes < row && -picture->row_bytes < row))
        autowipe_picture_release(picture);
}

void autowipe_picture_release(autowipe_picture *picture)
{
    if (picture->handle)
        autowipe_the_host.effect->clipReleaseImage(picture->handle);
    memset(picture, 0, sizeof *picture);
}

static unsigned char *pixel(const autowipe_picture *picture, int x, int y)
{
    return picture->samples + (ptrdiff_t)(y - picture->bounds.y1) * picture->row_bytes +
           (ptrdiff_t)(x - picture->bounds.x1) * picture->channels * picture->bytes;
}

static int has(const autowipe_picture *picture, int x, int y)
{
    const OfxRectI *in = &picture->bounds;
    return picture->handle && x >= in->x1 && x < in->x2 && y >= in->y1 && y < in->y2;
}

static float sample(const unsigned char *at, int bytes)
{
    float value = 0;
    uint16_t deep;
    switch (bytes) {
    case 1:
        return *at / 255.f;
    case 2:
        memcpy(&deep, at, sizeof deep);
        return deep / 65535.f;
    default:
        memcpy(&value, at, sizeof value);
        return value;
    }
}

static void put_sample(unsigned char *at, int bytes, float value)
{
    float held = bytes == 4 ? value : !(value > 0) ? 0 : value > 1 ? 1 : value; /* not a number is 0 */
    uint16_t deep = (uint16_t)(held * 65535.f + 0.5f);
    switch (bytes) {
    case 1:
        *at = (unsigned char)(held * 255.f + 0.5f);
        break;
    case 2:
        memcpy(at, &deep, sizeof deep);
        break;
    default:
        memcpy(at, &held, sizeof held);
    }
}

static void get_pixel(const unsigned char *at, const autowipe_picture *picture, float rgba[4])
{
    float first = sample(at, picture->bytes);
    rgba[0] = rgba[1] = rgba[2] = first;
    rgba[3] = picture->channels == 1 ? first : 1;
    for (int c = 1; c < picture->channels; c++)
        rgba[c] = sample(at + c * picture->bytes, picture->bytes);
}

static void put_pixel(unsigned char *at, const autowipe_picture *picture, const float rgba[4])
{
    if (picture->channels == 1)
        put_sample(at, picture->bytes, rgba[3]);
    else
        for (int c = 0; c < picture->channels; c++)
            put_sample(at + c * picture->bytes, picture->bytes, rgba[c]);
}

/* The part of the window that `out` holds. */
static OfxRectI writable(const autowipe_picture *out, const autowipe_how *how)
{
    const OfxRectI *a = &out->bounds, *b = &how->window;
    return (OfxRectI){larger(a->x1, b->x1), larger(a->y1, b->y1), smaller(a->x2, b->x2), smaller(a->y2, b->y2)};
}

/* Rows of a frame's lower field are 0, 2, 4... from the bottom. A picture of one field has no others. */
static int is_wanted(const autowipe_picture *out, const autowipe_how *how, int y)
{
    if (how->field == AUTOWIPE_BOTH || out->field != AUTOWIPE_BOTH)
        return 1;
    return (((y - out->whole.y1) & 1) == 0) == (how->field == AUTOWIPE_LOWER);
}

void autowipe_picture_copy(const autowipe_picture *out, const autowipe_picture *source, const autowipe_how *how)
{
    OfxRectI in = writable(out, how);
    size_t size = (size_t)(out->channels * out->bytes);
    int is_same = source->handle && source->channels == out->channels && source->bytes == out->bytes;
    if (in.x2 <= in.x1)
        return;
    for (int y = in.y1; y < in.y2; y++) {
        if (!is_wanted(out, how, y))
            continue;
        int x1 = in.x2, x2 = in.x2; /* of the row's pixels that the source has */
        if (source->handle && y >= source->bounds.y1 && y < source->bounds.y2) {
            x1 = smaller(in.x2, larger(in.x1, source->bounds.x1));
            x2 = larger(x1, smaller(in.x2, source->bounds.x2));
        }
        memset(pixel(out, in.x1, y), 0, (size_t)(x1 - in.x1) * size);
        if (is_same && x2 > x1)
            memcpy(pixel(out, x1, y), pixel(source, x1, y), (size_t)(x2 - x1) * size);
        for (int x = x1; x < x2 && !is_same; x++) {
            float rgba[4];
            get_pixel(pixel(source, x, y), source, rgba);
            put_pixel(pixel(out, x, y), out, rgba);
        }
        if (in.x2 > x2)
            memset(pixel(out, x2, y), 0, (size_t)(in.x2 - x2) * size);
    }
}

static float weight_at(const autowipe_how *how, int x, int y)
{
    float weight = (float)how->opacity, rgba[4];
    if (how->mask && has(how->mask, x, y)) {
        get_pixel(pixel(how->mask, x, y), how->mask, rgba);
        float held = fmaxf(rgba[0], fmaxf(rgba[1], rgba[2]));
        weight *= 1 - (!(held > 0) ? 0 : held > 1 ? 1 : held);
    }
    return weight;
}

static void fill_black(const autowipe_picture *out, const autowipe_how *how)
{
    static const float black[4] = {0, 0, 0, 1};
    OfxRectI in = writable(out, how);
    for (int y = in.y1; y < in.y2; y++)
        for (int x = in.x1; x < in.x2 && is_wanted(out, how, y); x++)
            put_pixel(pixel(out, x, y), out, black);
}

static void composite_pixel(unsigned char *to, const autowipe_picture *out, const unsigned char *from,
                            const autowipe_picture *source, const float *plate, float weight)
{
    float rgba[4];
    get_pixel(from, source, rgba);
    float scale = source->is_premultiplied ? rgba[3] : 1;
    for (int c = 0; c < 3 && c < out->channels; c++) {
        float clean = plate[c] * scale;
        put_sample(to + c * out->bytes, out->bytes, weight >= 1 ? clean : rgba[c] + (clean - rgba[c]) * weight);
    }
}

void autowipe_picture_composite(const autowipe_picture *out, const autowipe_picture *source,
                                const autowipe_plate *plates, int count, const autowipe_how *how)
{
    OfxRectI in = writable(out, how);
    if (how->view != AUTOWIPE_CLEAN)
        fill_black(out, how);
    if (out->channels == 1)
        return;
    for (int i = 0; i < count; i++) {
        const autowipe_plate *plate = &plates[i];
        for (int row = 0; row < plate->box.h; row++) {
            int y = source->whole.y2 - 1 - (plate->box.y + row);
            if (y < in.y1 || y >= in.y2 || !is_wanted(out, how, y))
                continue;
            const unsigned char *labels = plate->labels + (size_t)row * (size_t)plate->box.w;
            const float *rgb = plate->rgb + 3 * (size_t)row * (size_t)plate->box.w;
            for (int column = 0; column < plate->box.w; column++) {
                int x = source->whole.x1 + plate->box.x + column;
                int label = labels[column];
                if (label == AUTOWIPE_UNTOUCHED || label > AUTOWIPE_INVENTED || x < in.x1 || x >= in.x2 ||
                    !has(source, x, y))
                    continue;
                float weight = weight_at(how, x, y);
                if (!(weight > 0))
                    continue;
                if (how->view == AUTOWIPE_CLEAN) {
                    composite_pixel(pixel(out, x, y), out, pixel(source, x, y), source, rgb + 3 * column, weight);
                } else {
                    const float *colour = COLOURS[label];
                    float matte[4] = {weight, weight, weight, 1};
                    float shown[4] = {colour[0] * weight, colour[1] * weight, colour[2] * weight, 1};
                    put_pixel(pixel(out, x, y), out, how->view == AUTOWIPE_MATTE ? matte : shown);
                }
            }
        }
    }
}

void autowipe_picture_read(const autowipe_picture *picture, autowipe_box box, int step, float *rgb)
{
    for (int row = 0; row < box.h; row += step) {
        int y = picture->whole.y2 - 1 - (box.y + row);
        for (int column = 0; column < box.w; column += step, rgb += 3) {
            int x = picture->whole.x1 + box.x + column;
            float rgba[4] = {0, 0, 0, 1};
            if (has(picture, x, y))
                get_pixel(pixel(picture, x, y), picture, rgba);
            float scale = picture->is_premultiplied && rgba[3] > 0 ? 1 / rgba[3] : 1;
            for (int c = 0; c < 3; c++)
                rgb[c] = rgba[c] * scale;
        }
    }
}

static uint64_t mixed(uint64_t digest, uint64_t word)
{
    digest = (digest ^ word) * 0x9E3779B97F4A7C15u;
    return digest ^ (digest >> 29);
}

uint64_t autowipe_picture_digest(const autowipe_picture *picture)
{
    size_t size = (size_t)(picture->bounds.x2 - picture->bounds.x1) * (size_t)(picture->channels * picture->bytes);
    uint64_t digest[4] = {(uint64_t)size, (uint64_t)picture->bytes, (uint64_t)picture->channels, 1};
    for (int y = picture->bounds.y1; y < picture->bounds.y2; y++) {
        const unsigned char *at = pixel(picture, picture->bounds.x1, y);
        size_t left = size;
        for (; left >= 32; left -= 32, at += 32) {
            uint64_t words[4];
            memcpy(words, at, sizeof words);
            for (int lane = 0; lane < 4; lane++)
                digest[lane] = mixed(digest[lane], words[lane]);
        }
        uint64_t words[4] = {0, 0, 0, 0};
        memcpy(words, at, left);
        for (int lane = 0; lane < 4; lane++)
            digest[lane] = mixed(digest[lane], words[lane]);
    }
    return mixed(mixed(mixed(digest[0], digest[1]), digest[2]), digest[3]);
}
