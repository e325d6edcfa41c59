/* system.h for Windows. Paths are UTF-8 here and UTF-16 in the system's calls. */
#include "system.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ws2tcpip.h>

#define RtlGenRandom SystemFunction036
BOOLEAN NTAPI RtlGenRandom(PVOID bytes, ULONG count);

void autowipe_lock_take(autowipe_lock *lock) { AcquireSRWLockExclusive(lock); }
void autowipe_lock_give(autowipe_lock *lock) { ReleaseSRWLockExclusive(lock); }

double autowipe_now(void)
{
    LARGE_INTEGER ticks, rate;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&rate);
    return (double)ticks.QuadPart / (double)rate.QuadPart;
}

void autowipe_sleep(int ms) { Sleep((DWORD)ms); }

int autowipe_random(unsigned char *bytes, size_t count) { return RtlGenRandom(bytes, (ULONG)count) ? 0 : -1; }

static int to_wide(const char *text, WCHAR wide[AUTOWIPE_PATH])
{
    return MultiByteToWideChar(CP_UTF8, 0, text, -1, wide, AUTOWIPE_PATH) > 0 ? 0 : -1;
}

static int from_wide(const WCHAR *wide, char text[AUTOWIPE_PATH])
{
    return WideCharToMultiByte(CP_UTF8, 0, wide, -1, text, AUTOWIPE_PATH, NULL, NULL) > 0 ? 0 : -1;
}

int autowipe_link_folder(char path[AUTOWIPE_PATH])
{
    WCHAR wide[AUTOWIPE_PATH];
    DWORD length = GetEnvironmentVariableW(L"AUTOWIPE_LINK", wide, AUTOWIPE_PATH);
    const char *tail = "";
    if (length == 0) { /* the user's own folder, which Windows keeps others out of */
        length = GetEnvironmentVariableW(L"LOCALAPPDATA", wide, AUTOWIPE_PATH);
        tail = "\\AutoWipe\\link";
    }
    if (length == 0 || length >= AUTOWIPE_PATH || from_wide(wide, path) != 0 ||
        strlen(path) + strlen(tail) >= AUTOWIPE_PATH)
        return -1;
    strcat(path, tail);
    if (to_wide(path, wide) != 0)
        return -1;
    DWORD is = GetFileAttributesW(wide);
    return is != INVALID_FILE_ATTRIBUTES && (is & FILE_ATTRIBUTE_DIRECTORY) ? 0 : -1;
}

int autowipe_own_file(char path[AUTOWIPE_PATH])
{
    static const char here = 0;
    HMODULE module;
    WCHAR wide[AUTOWIPE_PATH];
    DWORD how = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    if (!GetModuleHandleExW(how, (LPCWSTR)&here, &module))
        return -1;
    DWORD length = GetModuleFileNameW(module, wide, AUTOWIPE_PATH);
    return length > 0 && length < AUTOWIPE_PATH ? from_wide(wide, path) : -1;
}

autowipe_socket autowipe_connect(const char *transport, const char *address, int wait_ms)
{
    static autowipe_lock lock = AUTOWIPE_LOCK;
    static int is_ready = 0;
    autowipe_lock_take(&lock);
    WSADATA about;
    if (!is_ready)
        is_ready = WSAStartup(MAKEWORD(2, 2), &about) == 0;
    autowipe_lock_give(&lock);
    if (!is_ready || strcmp(transport, "tcp") != 0)
        return AUTOWIPE_NO_SOCKET;
    SOCKET made = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, WSA_FLAG_NO_HANDLE_INHERIT);
    if (made == INVALID_SOCKET)
        return AUTOWIPE_NO_SOCKET;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((u_short)atoi(address))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    u_long on = 1;
    ioctlsocket(made, FIONBIO, &on);
    int delay = 1;
    setsockopt(made, IPPROTO_TCP, TCP_NODELAY, (const char *)&delay, sizeof delay);
    if (connect(made, (struct sockaddr *)&to, sizeof to) != 0) {
        WSAPOLLFD wanted = {made, POLLOUT, 0};
        int failure = 0, length = sizeof failure;
        if (WSAGetLastError() != WSAEWOULDBLOCK || WSAPoll(&wanted, 1, wait_ms) != 1 ||
            getsockopt(made, SOL_SOCKET, SO_ERROR, (char *)&failure, &length) != 0 || failure != 0) {
            closesocket(made);
            return AUTOWIPE_NO_SOCKET;
        }
    }
    return made;
}

int autowipe_send(autowipe_socket to, const void *bytes, size_t count, int wait_ms)
{
    const char *next = bytes;
    double end = autowipe_now() + wait_ms / 1000.0;
    while (count > 0) {
        int sent = send(to, next, (int)count, 0);
        if (sent > 0) {
            next += sent, count -= (size_t)sent;
        } else {
            WSAPOLLFD wanted = {to, POLLOUT, 0};
            if (WSAGetLastError() != WSAEWOULDBLOCK || autowipe_now() > end || WSAPoll(&wanted, 1, 50) < 0)
                return -1;
        }
    }
    return 0;
}

int autowipe_is_readable(autowipe_socket from, int wait_ms)
{
    WSAPOLLFD wanted = {from, POLLIN, 0};
    return WSAPoll(&wanted, 1, wait_ms);
}

long autowipe_receive(autowipe_socket from, void *bytes, size_t count)
{
    return recv(from, bytes, (int)count, 0);
}

void autowipe_disconnect(autowipe_socket open) { closesocket(open); }

int autowipe_shared_open(autowipe_shared *shared, const char *path)
{
    WCHAR wide[AUTOWIPE_PATH];
    memset(shared, 0, sizeof *shared);
    if (to_wide(path, wide) != 0)
        return -1;
    shared->file = CreateFileW(wide, GENERIC_READ | GENERIC_WRITE | DELETE,
                               FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, CREATE_NEW,
                               FILE_ATTRIBUTE_TEMPORARY | FILE_FLAG_DELETE_ON_CLOSE, NULL);
    return shared->file == INVALID_HANDLE_VALUE ? -1 : 0;
}

static void unmap(autowipe_shared *shared)
{
    if (shared->bytes)
        UnmapViewOfFile(shared->bytes);
    if (shared->mapping)
        CloseHandle(shared->mapping);
    shared->bytes = NULL, shared->mapping = NULL, shared->size = 0;
}

int autowipe_shared_grow(autowipe_shared *shared, size_t size)
{
    if (size <= shared->size)
        return 0;
    unmap(shared);
    shared->mapping = CreateFileMappingW(shared->file, NULL, PAGE_READWRITE, (DWORD)((uint64_t)size >> 32),
                                         (DWORD)(size & 0xffffffff), NULL);
    if (shared->mapping)
        shared->bytes = MapViewOfFile(shared->mapping, FILE_MAP_ALL_ACCESS, 0, 0, size);
    if (!shared->bytes) {
        unmap(shared);
        return -1;
    }
    shared->size = size;
    return 0;
}

void autowipe_shared_hide(autowipe_shared *shared) { (void)shared; /* goes when both sides have closed it */ }

void autowipe_shared_close(autowipe_shared *shared)
{
    unmap(shared);
    CloseHandle(shared->file);
}

/* One word as CommandLineToArgvW takes it apart again. */
static int append_word(char *line, size_t size, const char *word)
{
    size_t at = strlen(line), slashes = 0;
    if (at + 2 * strlen(word) + 4 > size)
        return -1;
    if (at)
        line[at++] = ' ';
    line[at++] = '"';
    for (; *word; word++) {
        if (*word == '"')
            for (slashes++; slashes; slashes--)
                line[at++] = '\\';
        slashes = *word == '\\' ? slashes + 1 : 0;
        line[at++] = *word;
    }
    for (; slashes; slashes--)
        line[at++] = '\\';
    line[at++] = '"';
    line[at] = 0;
    return 0;
}

static int is_hosts_own(const WCHAR *setting)
{
    return _wcsnicmp(setting, L"PYTHON", 6) == 0 || _wcsnicmp(setting, L"QT_", 3) == 0;
}

int autowipe_start(char *const words[])
{
    char line[4 * AUTOWIPE_PATH] = "";
    WCHAR wide[4 * AUTOWIPE_PATH];
    for (int i = 0; words[i]; i++)
        if (append_word(line, sizeof line, words[i]) != 0)
            return -1;
    if (MultiByteToWideChar(CP_UTF8, 0, line, -1, wide, 4 * AUTOWIPE_PATH) <= 0)
        return -1;
    WCHAR *all = GetEnvironmentStringsW();
    if (!all)
        return -1;
    size_t length = 1;
    for (const WCHAR *one = all; *one; one += wcslen(one) + 1)
        length += wcslen(one) + 1;
    WCHAR *settings = calloc(length + 1, sizeof *settings), *next = settings;
    for (const WCHAR *one = all; settings && *one; one += wcslen(one) + 1)
        if (!is_hosts_own(one)) {
            wcscpy(next, one);
            next += wcslen(one) + 1;
        }
    FreeEnvironmentStringsW(all);
    if (!settings)
        return -1;
    STARTUPINFOW how = {.cb = sizeof how};
    PROCESS_INFORMATION made;
    DWORD flags = DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP | CREATE_UNICODE_ENVIRONMENT;
    BOOL is_made = CreateProcessW(NULL, wide, NULL, NULL, FALSE, flags, settings, NULL, &how, &made);
    free(settings);
    if (!is_made)
        return -1;
    CloseHandle(made.hThread);
    CloseHandle(made.hProcess);
    return 0;
}
