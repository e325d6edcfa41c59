/* host.h: suites are asked for by name; whatever is not needed for a picture may be missing. */
#include "host.h"

#include <stdio.h>
#include <string.h>

autowipe_host autowipe_the_host;

OfxStatus autowipe_host_load(const OfxHost *host)
{
    autowipe_host found = {.host = host};
    if (!host || !host->fetchSuite)
        return kOfxStatErrMissingHostFeature;
    found.property = host->fetchSuite(host->host, "OfxPropertySuite", 1);
    found.effect = host->fetchSuite(host->host, "OfxImageEffectSuite", 1);
    found.param = host->fetchSuite(host->host, "OfxParameterSuite", 1);
    if (!found.property || !found.effect || !found.param)
        return kOfxStatErrMissingHostFeature;
    found.message = host->fetchSuite(host->host, "OfxMessageSuite", 2);
    /* DaVinci Resolve 14 hands out a version 2 with an empty set and a wild clear: the first vouches for the second. */
    if (found.message && found.message->setPersistentMessage && found.message->clearPersistentMessage)
        found.has_persistent_messages = 1;
    if (!found.message)
        found.message = host->fetchSuite(host->host, "OfxMessageSuite", 1);
    found.progress = host->fetchSuite(host->host, "OfxProgressSuite", 1);
    autowipe_the_host = found;
    autowipe_the_host.has_temporal_access =
        autowipe_get_int(host->host, "OfxImageEffectPropTemporalClipAccess", 0, 0) != 0;
    autowipe_get_text(host->host, "OfxPropName", autowipe_the_host.name, sizeof autowipe_the_host.name);
    return kOfxStatOK;
}

void autowipe_set_int(OfxPropertySetHandle set, const char *name, int index, int value)
{
    if (set)
        autowipe_the_host.property->propSetInt(set, name, index, value);
}

void autowipe_set_double(OfxPropertySetHandle set, const char *name, int index, double value)
{
    if (set)
        autowipe_the_host.property->propSetDouble(set, name, index, value);
}

void autowipe_set_text(OfxPropertySetHandle set, const char *name, int index, const char *value)
{
    if (set)
        autowipe_the_host.property->propSetString(set, name, index, value);
}

int autowipe_get_int(OfxPropertySetHandle set, const char *name, int index, int fallback)
{
    int value = fallback;
    return set && autowipe_the_host.property->propGetInt(set, name, index, &value) == kOfxStatOK ? value : fallback;
}

double autowipe_get_double(OfxPropertySetHandle set, const char *name, int index, double fallback)
{
    double value = fallback;
    return set && autowipe_the_host.property->propGetDouble(set, name, index, &value) == kOfxStatOK ? value : fallback;
}

void *autowipe_get_pointer(OfxPropertySetHandle set, const char *name)
{
    void *value = NULL;
    return set && autowipe_the_host.property->propGetPointer(set, name, 0, &value) == kOfxStatOK ? value : NULL;
}

void autowipe_get_text(OfxPropertySetHandle set, const char *name, char *text, size_t size)
{
    char *value = NULL;
    text[0] = 0;
    if (set && autowipe_the_host.property->propGetString(set, name, 0, &value) == kOfxStatOK && value)
        snprintf(text, size, "%s", value);
}

int autowipe_get_rect(OfxPropertySetHandle set, const char *name, OfxRectI *rect)
{
    int sides[4];
    for (int i = 0; i < 4; i++)
        if (!set || autowipe_the_host.property->propGetInt(set, name, i, &sides[i]) != kOfxStatOK)
            return -1;
    *rect = (OfxRectI){sides[0], sides[1], sides[2], sides[3]};
    return 0;
}

void autowipe_show(OfxImageEffectHandle effect, const char *text)
{
    if (!autowipe_the_host.has_persistent_messages)
        return;
    if (*text)
        autowipe_the_host.message->setPersistentMessage(effect, "OfxMessageWarning", "", "%s", text);
    else
        autowipe_the_host.message->clearPersistentMessage(effect);
}

void autowipe_tell(OfxImageEffectHandle effect, const char *text)
{
    if (autowipe_the_host.message && autowipe_the_host.message->message)
        autowipe_the_host.message->message(effect, "OfxMessageMessage", "", "%s", text);
}
