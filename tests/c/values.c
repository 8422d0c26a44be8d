/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The chapter on objects as a C program meets it: the example of ss_value, and values that are used up in many ways. */
#include "check.h"

/* The example's first half. */
static void write_message(ss_socket *socket)
{
    ss_value *message = ss_value_new(SS_VALUE_OBJECT);
    ss_value *scores = ss_value_add_property(message, "scores");
    CHECK_OK(ss_value_set_string(ss_value_add_property(message, "name"), "Ann"));
    CHECK_OK(ss_value_set(scores, SS_VALUE_ARRAY));
    CHECK_OK(ss_value_set_integer(ss_value_add_item(scores), 1));
    CHECK_OK(ss_value_set_number(ss_value_add_item(scores), 2.5));
    CHECK_OK(ss_socket_write_object(socket, message));
    CHECK_OK(ss_release(message));
}

/* Its second half. */
static int read_messages(ss_socket *socket)
{
    int count = 0;
    ss_value *message;
    ss_status status;
    while ((status = ss_socket_read_object(socket, &message)) == SS_OK) {
        const char *name = ss_value_bytes(ss_value_property(message, "name"), NULL);
        ss_value *scores = ss_value_property(message, "scores");
        double sum = 0;
        size_t i;
        for (i = 0; i < ss_value_item_count(scores); i++) sum += ss_value_number(ss_value_item(scores, i));
        CHECK_TEXT(name, "Ann");
        CHECK(sum == 3.5);
        CHECK(ss_value_bytes(ss_value_property(message, "no such"), NULL) == NULL);
        CHECK_OK(ss_release(message));
        ++count;
    }
    CHECK_EQ(status, SS_ERR_EOF);
    return count;
}

static void the_example_of_the_header_works(void)
{
    enum { MESSAGES = 100, LONGEST = 100 };
    static const int32_t encodings[] = {SS_AMF3, SS_AMF0};
    char bytes[MESSAGES * LONGEST];
    int client, i, count;
    size_t e;
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    ss_socket *socket = accept_client(loop, server, &client);
    for (e = 0; e < COUNT_OF(encodings); ++e) {
        size_t length;
        CHECK_OK(ss_socket_set_object_encoding(socket, encodings[e]));
        for (i = 0; i < MESSAGES; ++i) write_message(socket);
        length = ss_socket_bytes_pending(socket);
        CHECK(length > 0 && length <= sizeof bytes);
        client_receive(loop, client, bytes, length);
        client_send(loop, client, bytes, length);
        count = 0;
        PUMP_UNTIL(loop, (count += read_messages(socket)) == MESSAGES);
    }
    close(client);
    CHECK_OK(ss_release(loop));
}

/* Bindings walk a value by its parts: a circle is known by a handle that was met before. */
static size_t count_parts(ss_value *value, ss_value **met, size_t count, size_t room)
{
    size_t i;
    for (i = 0; i < count; ++i)
        if (met[i] == value) return count;
    CHECK(count < room);
    met[count++] = value;
    for (i = 0; i < ss_value_item_count(value); ++i) count = count_parts(ss_value_item(value, i), met, count, room);
    for (i = 0; i < ss_value_property_count(value); ++i)
        count = count_parts(ss_value_property_at(value, i), met, count, room);
    return count;
}

static void a_value_that_goes_round_in_circles_can_be_walked_and_goes_away(void)
{
    int round;
    for (round = 0; round < 1000; ++round) {
        ss_value *met[8];
        ss_value *parent = ss_value_new(SS_VALUE_OBJECT), *children = ss_value_add_property(parent, "children");
        int i;
        CHECK_OK(ss_value_set(children, SS_VALUE_ARRAY));
        for (i = 0; i < 3; ++i) {
            ss_value *child = ss_value_add_item(children);
            CHECK_OK(ss_value_set(child, SS_VALUE_OBJECT));
            CHECK_OK(ss_value_assign(ss_value_add_property(child, "parent"), parent));
        }
        CHECK_EQ(count_parts(parent, met, 0, COUNT_OF(met)), 5);
        CHECK_OK(ss_release(parent));
        for (i = 0; i < 5; ++i) CHECK_EQ(ss_value_type(met[i]), 0);
    }
}

static void values_that_are_not_released_go_with_their_thread(void)
{
    CHECK(ss_value_add_item(ss_value_new(SS_VALUE_ARRAY)) != NULL);
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        CASE(the_example_of_the_header_works),
        CASE(a_value_that_goes_round_in_circles_can_be_walked_and_goes_away),
        CASE(values_that_are_not_released_go_with_their_thread),
    };
    return check_main(cases, COUNT_OF(cases), argc, argv);
}
