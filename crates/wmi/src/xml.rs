//! Instances as text: CIM-XML, as `GetText` gives it and as embedded parameters take it
//! (DMTF DSP0201, Representation of CIM in XML; WMI DTD 2.0).

use std::collections::BTreeMap;

use hvrsim_sim::look::Look;
use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::{BytesStart, Event};

use crate::object::{Object, properties};
use crate::table::{Class, Property};
use crate::value::Value;

/// An instance with all its properties as text.
#[must_use]
pub fn to_text(object: &Object, look: &dyn Look) -> String {
    print(object.class(), &properties(object, look))
}

/// The text of an instance of `class` with these properties.
pub(crate) fn print(class: &Class, values: &[(&'static str, Value)]) -> String {
    let mut text = format!("<INSTANCE CLASSNAME=\"{}\">", class.name);
    for (name, value) in values {
        if let Some(property) = class.property(name) {
            print_property(property, value, &mut text);
        }
    }
    text + "</INSTANCE>"
}

fn print_property(property: &Property, value: &Value, out: &mut String) {
    use crate::table::CimType;
    let reference = matches!(property.ty, CimType::Reference(_));
    let (tag, inside) = match (property.array, reference) {
        (true, _) => ("PROPERTY.ARRAY", "VALUE"),
        (false, true) => ("PROPERTY.REFERENCE", "VALUE.REFERENCE"),
        (false, false) => ("PROPERTY", "VALUE"),
    };
    let ty = match property.ty {
        CimType::Reference(class) if !property.array => format!("REFERENCECLASS=\"{class}\""),
        CimType::Reference(_) => "TYPE=\"string\"".to_owned(),
        ty => format!("TYPE=\"{}\"", ty.xml_name()),
    };
    *out += &format!("<{tag} NAME=\"{}\" {ty}>", property.name);
    match value {
        Value::Null => {}
        Value::List(list) => {
            *out += "<VALUE.ARRAY>";
            for one in list {
                *out += &format!("<VALUE>{}</VALUE>", escape(scalar(one)));
            }
            *out += "</VALUE.ARRAY>";
        }
        one => *out += &format!("<{inside}>{}</{inside}>", escape(scalar(one))),
    }
    *out += &format!("</{tag}>");
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Boolean(true) => "TRUE".to_owned(),
        Value::Boolean(false) => "FALSE".to_owned(),
        Value::Integer(n) => n.to_string(),
        Value::Text(text) => text.clone(),
        Value::Null | Value::List(_) | Value::Map(_) => String::new(),
    }
}

/// An instance as read.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) class: String,
    /// As written, Null where there is no value.
    pub(crate) properties: BTreeMap<String, Value>,
}

/// Reads the text of one instance. Qualifiers and anything else that is no property is passed over.
///
/// # Errors
/// It is not the well-formed text of one instance, or a value does not fit the type that stands beside it.
pub(crate) fn parse(text: &str) -> Result<Parsed, String> {
    let mut reader = Reader::from_str(text);
    let mut class = None;
    let mut properties = BTreeMap::new();
    loop {
        match event(&mut reader)? {
            Event::Start(tag) if is(&tag, "INSTANCE") && class.is_none() => {
                class = Some(attribute(&tag, "CLASSNAME").ok_or("an INSTANCE without CLASSNAME")?);
            }
            Event::Empty(tag) if is(&tag, "INSTANCE") && class.is_none() => {
                class = Some(attribute(&tag, "CLASSNAME").ok_or("an INSTANCE without CLASSNAME")?);
            }
            Event::Start(tag) if is_property(&tag) && class.is_some() => {
                let (name, value) = property(&mut reader, &tag.into_owned())?;
                properties.insert(name, value);
            }
            Event::Empty(tag) if is_property(&tag) && class.is_some() => {
                properties.insert(attribute(&tag, "NAME").ok_or("a property without NAME")?, Value::Null);
            }
            Event::Start(tag) if class.is_none() && !is_envelope(&tag) => {
                return Err("no INSTANCE".to_owned());
            }
            Event::Start(tag) if class.is_some() => skip(&mut reader, &tag.into_owned())?,
            Event::Eof => break,
            _ => {}
        }
    }
    match class {
        Some(class) => Ok(Parsed { class, properties }),
        None => Err("no INSTANCE".to_owned()),
    }
}

fn event<'a>(reader: &mut Reader<&'a [u8]>) -> Result<Event<'a>, String> {
    reader.read_event().map_err(|error| error.to_string())
}

fn skip(reader: &mut Reader<&[u8]>, tag: &BytesStart<'_>) -> Result<(), String> {
    reader.read_to_end(tag.name()).map(|_| ()).map_err(|error| error.to_string())
}

fn is(tag: &BytesStart<'_>, name: &str) -> bool {
    tag.name().as_ref().eq_ignore_ascii_case(name.as_bytes())
}

fn is_property(tag: &BytesStart<'_>) -> bool {
    ["PROPERTY", "PROPERTY.ARRAY", "PROPERTY.REFERENCE"].iter().any(|name| is(tag, name))
}

/// What may stand around an instance.
fn is_envelope(tag: &BytesStart<'_>) -> bool {
    ["CIM", "DECLARATION", "DECLGROUP", "VALUE.OBJECT"].iter().any(|name| is(tag, name))
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = tag.attributes().flatten().find(|a| a.key.as_ref().eq_ignore_ascii_case(name.as_bytes()))?;
    let text = std::str::from_utf8(&found.value).ok()?;
    quick_xml::escape::unescape(text).ok().map(std::borrow::Cow::into_owned)
}

/// The rest of a property whose start was read.
fn property(reader: &mut Reader<&[u8]>, tag: &BytesStart<'_>) -> Result<(String, Value), String> {
    let name = attribute(tag, "NAME").ok_or("a property without NAME")?;
    let ty = attribute(tag, "TYPE").unwrap_or_else(|| "string".to_owned());
    let array = is(tag, "PROPERTY.ARRAY");
    let mut values = Vec::new();
    let mut given = false;
    loop {
        match event(reader)? {
            Event::Start(inner) if is(&inner, "VALUE.ARRAY") => given = true,
            Event::Empty(inner) if is(&inner, "VALUE.ARRAY") => given = true,
            Event::Start(inner) if is(&inner, "VALUE") || is(&inner, "VALUE.REFERENCE") => {
                let text = content(reader, &inner.into_owned())?;
                values.push(typed(&name, &ty, text)?);
                given = true;
            }
            Event::Empty(inner) if is(&inner, "VALUE") => {
                values.push(typed(&name, &ty, String::new())?);
                given = true;
            }
            Event::Start(other) => skip(reader, &other.into_owned())?,
            Event::End(end) if end.name() == tag.name() => break,
            Event::Eof => return Err(format!("the property {name} does not end")),
            _ => {}
        }
    }
    let value = match (given, array) {
        (false, _) => Value::Null,
        (true, true) => Value::List(values),
        (true, false) if values.len() == 1 => values.swap_remove(0),
        (true, false) => return Err(format!("the property {name} has {} values", values.len())),
    };
    Ok((name, value))
}

/// The text in an element whose start was read.
fn content(reader: &mut Reader<&[u8]>, tag: &BytesStart<'_>) -> Result<String, String> {
    let mut text = String::new();
    loop {
        match event(reader)? {
            Event::Text(part) => text += &part.decode().map_err(|error| error.to_string())?,
            Event::CData(part) => text += &part.decode().map_err(|error| error.to_string())?,
            Event::GeneralRef(part) => match part.resolve_char_ref().map_err(|error| error.to_string())? {
                Some(character) => text.push(character),
                None => {
                    let name = part.decode().map_err(|error| error.to_string())?;
                    text += resolve_predefined_entity(&name).ok_or("an unknown entity")?;
                }
            },
            Event::Start(other) => skip(reader, &other.into_owned())?,
            Event::End(end) if end.name() == tag.name() => return Ok(text),
            Event::Eof => return Err("a value does not end".to_owned()),
            _ => {}
        }
    }
}

fn typed(name: &str, ty: &str, text: String) -> Result<Value, String> {
    let misfit = || format!("{name} is no {ty}");
    match ty.to_ascii_lowercase().as_str() {
        "boolean" if text.eq_ignore_ascii_case("true") => Ok(Value::Boolean(true)),
        "boolean" if text.eq_ignore_ascii_case("false") => Ok(Value::Boolean(false)),
        "uint8" | "uint16" | "uint32" | "uint64" | "sint8" | "sint16" | "sint32" | "sint64" => {
            text.trim().parse().map(Value::Integer).map_err(|_| misfit())
        }
        "string" | "datetime" | "reference" => Ok(Value::Text(text)),
        _ => Err(misfit()),
    }
}
