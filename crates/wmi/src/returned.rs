//! What a method gives back beside its code, taken apart for those who ask for one value of it.

use crate::call::Answer;
use crate::value::Value;
use crate::xml;

impl Answer {
    /// Every single value by its path, in the order of the out parameters: `ReplicationStatistics[0].ReplicationHealth`.
    /// Embedded instances are opened, elements of arrays counted from 0; Null and an empty array stand as `Null`.
    #[must_use]
    pub fn returned(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for (name, value) in &self.out {
            open((*name).to_owned(), value, &mut found);
        }
        found
    }
}

fn open(path: String, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::List(list) if !list.is_empty() => {
            for (index, one) in list.iter().enumerate() {
                open(format!("{path}[{index}]"), one, found);
            }
        }
        Value::Map(properties) => {
            for (name, one) in properties {
                open(format!("{path}.{name}"), one, found);
            }
        }
        Value::Text(text) => match xml::parse(text) {
            Ok(instance) => open(path, &Value::Map(instance.properties), found),
            Err(_) => found.push((path, text.clone())),
        },
        Value::Boolean(value) => found.push((path, value.to_string())),
        Value::Integer(value) => found.push((path, value.to_string())),
        Value::Null | Value::List(_) => found.push((path, "Null".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hvrsim_types::code::ReturnCode;

    #[test]
    fn instances_and_arrays_are_opened() {
        let instance = "<INSTANCE CLASSNAME=\"A\"><PROPERTY NAME=\"Size\" TYPE=\"uint64\"><VALUE>7</VALUE></PROPERTY>\
                        <PROPERTY NAME=\"Name\" TYPE=\"string\"><VALUE>a &lt; b</VALUE></PROPERTY></INSTANCE>";
        let list = Value::List(vec![Value::Text(instance.to_owned()), Value::Null]);
        let out =
            vec![("Statistics", list), ("Issues", Value::List(Vec::new())), ("On", Value::Boolean(true))];
        let answer = Answer { code: ReturnCode::COMPLETED, why: String::new(), out };
        let shown: Vec<String> =
            answer.returned().into_iter().map(|(path, value)| format!("{path} = {value}")).collect();
        assert_eq!(
            shown,
            [
                "Statistics[0].Name = a < b",
                "Statistics[0].Size = 7",
                "Statistics[1] = Null",
                "Issues = Null",
                "On = true"
            ]
        );
    }
}
