/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* HTTP/1.1 requests, read where they lie: in a socket's unread bytes, without a copy and without a parser's state. */
#ifndef EXAMPLES_HTTP_H
#define EXAMPLES_HTTP_H

#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum { LARGEST_HEAD = 8 * 1024 }; /* request line and headers */

/* ---- Text in place: a piece of the unread bytes, not ended by a NUL. ---- */

typedef struct text {
    const char *at;
    size_t length;
} text;

/* Cuts off and returns what is before the separator, or all when there is none. */
static inline text take(text *rest, const char *separator)
{
    size_t width = strlen(separator);
    text taken = *rest;
    size_t i;

    for (i = 0; i + width <= rest->length; i++) {
        if (memcmp(rest->at + i, separator, width) == 0) {
            taken.length = i;
            rest->at += i + width;
            rest->length -= i + width;
            return taken;
        }
    }
    rest->at += rest->length;
    rest->length = 0;
    return taken;
}

static inline text trim(text t)
{
    while (t.length > 0 && (t.at[0] == ' ' || t.at[0] == '\t')) {
        t.at++;
        t.length--;
    }
    while (t.length > 0 && (t.at[t.length - 1] == ' ' || t.at[t.length - 1] == '\t'))
        t.length--;
    return t;
}

static inline bool is(text t, const char *word)
{
    return t.length == strlen(word) && memcmp(t.at, word, t.length) == 0;
}

/* Like is(), but capital letters are as good as small ones; `word` has small ones. */
static inline bool is_any_case(text t, const char *word)
{
    size_t i;

    if (t.length != strlen(word)) /* a NUL in it is a byte like others */
        return false;
    for (i = 0; i < t.length; i++)
        if (tolower((unsigned char)t.at[i]) != word[i])
            return false;
    return true;
}

/* The number in decimal digits and nothing else; LLONG_MAX for all that are greater. */
static inline bool number(text t, long long *value)
{
    size_t i;

    *value = 0;
    for (i = 0; i < t.length; i++) {
        if (!isdigit((unsigned char)t.at[i]))
            return false;
        *value = *value > (LLONG_MAX - 9) / 10 ? LLONG_MAX : *value * 10 + (t.at[i] - '0');
    }
    return t.length > 0;
}

/* ---- Requests. ---- */

typedef struct request {
    const char *refused; /* NULL, or the status to refuse it with; what follows in the stream may be no request then */
    bool is_head, keep_alive;
    text path, range, if_range;
} request;

/* Reads the lines behind the first one. False: they are no headers, or announce a body, which nothing here takes. */
static inline bool read_headers(text head, bool is_1_1, request *r)
{
    bool has_host = false, has_body = false, says_close = false, says_keep_alive = false;

    while (head.length > 0) {
        text value = take(&head, "\r\n");
        text name = take(&value, ":");

        value = trim(value);
        if (name.length == 0 || trim(name).length != name.length)
            return false;
        if (is_any_case(name, "host"))
            has_host = true;
        else if (is_any_case(name, "content-length"))
            has_body = has_body || !is(value, "0");
        else if (is_any_case(name, "transfer-encoding"))
            has_body = true;
        else if (is_any_case(name, "range"))
            r->range = value;
        else if (is_any_case(name, "if-range"))
            r->if_range = value;
        else if (is_any_case(name, "connection")) {
            while (value.length > 0) { /* a list: "keep-alive, upgrade" */
                text option = trim(take(&value, ","));

                says_close = says_close || is_any_case(option, "close");
                says_keep_alive = says_keep_alive || is_any_case(option, "keep-alive");
            }
        }
    }
    /* HTTP/1.1 keeps the connection unless told otherwise, HTTP/1.0 ends it unless told otherwise. */
    r->keep_alive = !says_close && (is_1_1 || says_keep_alive);
    return !has_body && (has_host || !is_1_1);
}

/* `head` is everything before the empty line. */
static inline request understand(text head)
{
    request r = {NULL, false, false, {NULL, 0}, {NULL, 0}, {NULL, 0}};
    text line = take(&head, "\r\n");
    text method = take(&line, " ");
    bool is_1_1;

    r.path = take(&line, " ");
    r.is_head = is(method, "HEAD");
    is_1_1 = is(line, "HTTP/1.1");
    if (method.length == 0 || r.path.length == 0)
        r.refused = "400 Bad Request";
    else if (!is_1_1 && !is(line, "HTTP/1.0"))
        r.refused = "505 HTTP Version Not Supported";
    else if (!r.is_head && !is(method, "GET"))
        r.refused = "405 Method Not Allowed";
    else if (!read_headers(head, is_1_1, &r))
        r.refused = "400 Bad Request";
    r.keep_alive = r.keep_alive && r.refused == NULL;
    r.path = take(&r.path, "?");
    return r;
}

/* Looks for a request at the start of the unread bytes. Returns how many bytes it takes up and puts it into *r; returns
 * 0 while it is not all there yet. */
static inline size_t parse(const char *bytes, size_t length, request *r)
{
    text rest = {NULL, 0}, head;
    /* Some clients send one line end too many after a request: it is then in front of the next. */
    size_t blank = length >= 2 && memcmp(bytes, "\r\n", 2) == 0 ? 2 : 0;

    rest.at = bytes + blank;
    rest.length = length - blank < LARGEST_HEAD ? length - blank : LARGEST_HEAD;
    head = take(&rest, "\r\n\r\n");
    if (rest.at != head.at + head.length) { /* the empty line was found */
        *r = understand(head);
        return (size_t)(rest.at - bytes);
    }
    if (head.length < LARGEST_HEAD)
        return 0;
    memset(r, 0, sizeof *r);
    r->refused = "431 Request Header Fields Too Large";
    return length;
}

/* ---- Ranges of a file. ---- */

enum range { WHOLE, PART, OUTSIDE };

/* "bytes=0-99", "bytes=100-", "bytes=-100": narrows *at and *left, which are those of the whole file. What is written in
 * another way may be ignored, and lists of ranges as well: the whole file is an answer to all of them. */
static inline enum range narrow(text range, long long *at, long long *left)
{
    long long size = *left, first, last;
    text unit = take(&range, "=");
    text from = take(&range, "-");

    if (!is_any_case(unit, "bytes") || range.at == from.at + from.length) /* no "-" */
        return WHOLE;
    if (from.length == 0) { /* the last so many */
        if (!number(range, &last))
            return WHOLE;
        first = last < size ? size - last : 0;
        last = size - 1;
    } else {
        if (!number(from, &first))
            return WHOLE;
        if (range.length == 0)
            last = size - 1;
        else if (!number(range, &last) || last < first)
            return WHOLE;
        last = last < size ? last : size - 1;
    }
    if (first >= size)
        return OUTSIDE;
    *at = first;
    *left = last - first + 1;
    return PART;
}

#endif
