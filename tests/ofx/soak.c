/* Renders many frames in many threads, effects made and destroyed on the way, and says what was left behind.
 *
 *     soak PLUGIN PROFILE PLAN PICTURES COUNT WIDTH HEIGHT FRAMES THREADS
 *
 * PICTURES: a file of COUNT pictures, RGBA float, top row first. PLAN may be "". Prints one line:
 * frames failed changed, open files and resident KB after a tenth of the frames, and at the end.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "minihost.h"

enum { EFFECTS = 6 };

static int open_files(void)
{
    int count = -3; /* . and .. and the folder itself */
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count;
}

static long resident_kb(void)
{
    long whole = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%ld %ld", &whole, &pages) != 2)
        pages = 0;
    if (file)
        fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

int main(int count_of_words, char **words)
{
    if (count_of_words != 10)
        return 2;
    int count = atoi(words[5]), width = atoi(words[6]), height = atoi(words[7]), frames = atoi(words[8]);
    int threads = atoi(words[9]), failed = 0, done = 0, files = 0, batch = frames / 10;
    size_t size = 4 * (size_t)width * (size_t)height;
    float *pictures = malloc((size_t)count * size * sizeof *pictures), *out = malloc(size * sizeof *out);
    double *times = malloc((size_t)batch * sizeof *times);
    FILE *file = fopen(words[4], "rb");
    if (!file || fread(pictures, size * sizeof *pictures, (size_t)count, file) != (size_t)count)
        return 2;
    fclose(file);
    mini_host *host = mini_open(words[1], words[2]);
    if (!host || mini_describe(host, "OfxImageEffectContextFilter") != 0) {
        fprintf(stderr, "%s\n", mini_error());
        return 3;
    }
    static const mini_how how = {.bytes = 4, .is_top_down = 1};
    long resident = 0, changed = 0;
    unsigned random = 1;
    for (int turn = 0; turn < 10; turn++) {
        mini_effect *effects[EFFECTS];
        for (int i = 0; i < EFFECTS; i++) {
            effects[i] = mini_create(host);
            mini_pictures(effects[i], "Source", pictures, count, width, height, 0, 0);
            mini_set_text(effects[i], "planFile", words[3]);
        }
        for (int i = 0; i < batch; i++) {
            random = random * 1664525u + 1013904223u;
            times[i] = (double)((random >> 8) % (unsigned)count);
        }
        failed += mini_render_many(effects, EFFECTS, times, batch, threads, &how, NULL);
        done += batch;
        mini_render(effects[0], 0, &how, out);
        changed += memcmp(out, pictures, size * sizeof *out) != 0;
        for (int i = 0; i < EFFECTS; i++) {
            mini_effect *brief = mini_create(host); /* some hosts make one for every frame */
            mini_destroy(brief);
            mini_destroy(effects[i]);
        }
        if (turn % 3 == 0)
            failed += mini_reload(host) != 0;
        if (turn == 0)
            files = open_files(), resident = resident_kb();
    }
    printf("%d %d %ld %d %ld %d %ld\n", done, failed, changed, files, resident, open_files(), resident_kb());
    int is_bad = failed || mini_left_over(host) || *mini_complaints(host);
    fprintf(stderr, "%s", mini_complaints(host));
    mini_close(host);
    free(pictures), free(out), free(times);
    return is_bad ? 4 : 0;
}
