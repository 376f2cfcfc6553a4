//! Compiles the wire's protobuf definitions without a system `protoc`, and writes down of each message
//! which of its fields take memory of their own: see `src/wire/memory.rs`.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

const PACKAGE: &str = ".landfall.wire.v1";

#[expect(clippy::disallowed_methods, reason = "cargo says in the environment where to write")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto/wire.proto");
    let files = protox::compile(["proto/wire.proto"], ["proto"])?;
    let mut messages = Vec::new();
    for file in &files.file {
        for message in &file.message_type {
            messages.push((format!("{PACKAGE}.{}", message.name()), String::new(), message));
            let module = format!("{}::", snake(message.name()));
            for nested in &message.nested_type {
                let name = format!("{PACKAGE}.{}.{}", message.name(), nested.name());
                messages.push((name, module.clone(), nested));
            }
        }
    }
    let number = |name: &str| messages.iter().position(|(known, ..)| known == name);
    let (mut shapes, mut frames) = (String::new(), String::new());
    for (at, (_, module, message)) in messages.iter().enumerate() {
        let path = format!("wire::{module}{}", message.name());
        let mut parts = String::new();
        for field in &message.field {
            let part = match (field.r#type().as_str_name(), field.label().as_str_name()) {
                ("TYPE_MESSAGE", _) => {
                    let inner = number(field.type_name()).ok_or("a message of another package")?;
                    format!("Part::Message({inner})")
                }
                (_, "LABEL_OPTIONAL") => continue,
                ("TYPE_BYTES" | "TYPE_STRING", _) => "Part::Bytes".to_owned(),
                _ => "Part::Numbers".to_owned(),
            };
            write!(parts, "({}, {part}), ", field.number())?;
        }
        writeln!(shapes, "    Shape {{ size: size_of::<{path}>(), parts: &[{parts}] }},")?;
        writeln!(frames, "impl Frame for {path} {{ const SHAPE: usize = {at}; }}")?;
    }
    let text = format!("const SHAPES: &[Shape] = &[\n{shapes}];\n{frames}");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("shapes.rs"), text)?;
    prost_build::Config::new().bytes(["."]).btree_map(["."]).compile_fds(files)?;
    Ok(())
}

/// The module that the messages within a message are in.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}
