//! Makes `include/server_socket.cdef.h` of the header: declarations alone, for parsers that know no preprocessor.

/// A declaration a line, the constants as one enum on top; it has a name for h2pas.
pub fn of(header: &str) -> Result<String, &'static str> {
    let header = without_comments(header).ok_or("a comment of the header does not end")?;
    let names: Vec<&str> = header.lines().filter_map(event_name).collect();
    let constants: String = header.lines().filter_map(constant).collect();
    let declarations = statements(&declared(&header)).join("\n");
    if names.is_empty() || constants.is_empty() || declarations.contains('#') {
        return Err("the header was not understood");
    }
    Ok(format!(
        "/*
 * The declarations of server_socket.h for parsers that know no preprocessor: cffi, LuaJIT's ffi, h2pas.
 * server_socket.h explains them. The types of the library's own events, which are texts, are
 * {}.
 *
 * This file is made from the sources in src/ffi: do not edit it.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

enum ss_constants {{
{constants}}};

{declarations}
",
        names.join(", ")
    ))
}

fn without_comments(header: &str) -> Option<String> {
    let mut text = String::new();
    let mut rest = header;
    while let Some((before, comment)) = rest.split_once("/*") {
        text += before;
        rest = comment.split_once("*/")?.1;
    }
    text += rest;
    Some(text.lines().map(|line| line.split("//").next().unwrap_or(line).to_owned() + "\n").collect())
}

/// `"close"`, of a line that defines SS_EVENT_CLOSE.
fn event_name(line: &str) -> Option<&str> {
    line.strip_prefix("#define SS_EVENT_")?.split_once(' ').map(|(_, text)| text.trim_end())
}

/// An enumerator, of a line that defines a number.
fn constant(line: &str) -> Option<String> {
    let (name, value) = line.strip_prefix("#define ")?.split_once(' ')?;
    let is_number = !name.starts_with("SS_EVENT_") && name != "SS_API";
    is_number.then(|| format!("    {name} = {},\n", value.trim()))
}

/// What is left for a compiler of C: without the lines of the preprocessor, and without what is for C++ alone.
fn declared(header: &str) -> String {
    let mut text = String::new();
    let mut for_cpp = false;
    for line in header.lines() {
        if line.starts_with('#') {
            for_cpp = line.starts_with("#ifdef __cplusplus");
        } else if !for_cpp {
            text += line.strip_prefix("SS_API ").unwrap_or(line);
            text += "\n";
        }
    }
    text
}

/// One line each, but a line for each member of a struct.
fn statements(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut statement = String::new();
    let mut inside = false;
    for word in text.split_whitespace() {
        inside = (inside || word == "{") && word != "}";
        statement += word;
        match word {
            "{" => statement += "\n    ",
            _ if inside && word.ends_with(';') => statement += "\n    ",
            _ if word.ends_with(';') => found.push(std::mem::take(&mut statement).replace("    }", "}")),
            _ => statement += " ",
        }
    }
    found
}
