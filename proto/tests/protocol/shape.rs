//! What values are made of, as a serializer sees it: the names of structures and variants, and of each field
//! its name and type, written as the page writes them.

use serde::ser::{self, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A field's name, empty where the code gives none, and its type.
pub(crate) type Field = (String, String);

/// A type that the values seen did not tell: of an empty sequence's elements, of a missing option's value.
pub(crate) const UNTOLD: &str = "?";

/// The structures and variants seen.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    /// By name.
    pub(crate) structures: BTreeMap<String, Vec<Field>>,
    /// By name and index: the variant's name and fields.
    pub(crate) variants: BTreeMap<(String, u32), (String, Vec<Field>)>,
}

impl Shapes {
    /// Takes in what `value` is made of.
    pub(crate) fn see<T: Serialize>(&mut self, value: &T) {
        value.serialize(Look(self)).expect("every value has a shape");
    }

    /// The type of `value`.
    fn of<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<String, Unknown> {
        value.serialize(Look(self))
    }

    fn structure(&mut self, name: &str, fields: Vec<Field>) {
        merge(self.structures.entry(name.to_owned()).or_default(), fields);
    }

    fn variant(&mut self, name: &str, index: u32, variant: &str, fields: Vec<Field>) {
        let key = (name.to_owned(), index);
        let known = self.variants.entry(key).or_insert_with(|| (variant.to_owned(), Vec::new()));
        merge(&mut known.1, fields);
    }
}

fn merge(known: &mut Vec<Field>, fields: Vec<Field>) {
    if known.is_empty() {
        *known = fields;
        return;
    }
    assert_eq!(known.len(), fields.len(), "{known:?} and {fields:?} have one name");
    for (known, (_, told)) in known.iter_mut().zip(fields) {
        known.1 = fuller(&known.1, &told);
    }
}

/// Of two tellings of one type the one that tells more.
fn fuller(one: &str, other: &str) -> String {
    if one.contains(UNTOLD) { other.to_owned() } else { one.to_owned() }
}

/// A value of a kind that the protocol does not have.
#[derive(Debug)]
pub(crate) struct Unknown(String);

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unknown {}

impl ser::Error for Unknown {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

/// Looks at one value; its type is the result.
struct Look<'a>(&'a mut Shapes);

/// Looks at the members of one value.
struct Members<'a> {
    shapes: &'a mut Shapes,
    kind: Kind,
    fields: Vec<Field>,
}

enum Kind {
    Sequence,
    Tuple,
    Structure(&'static str),
    Variant(&'static str, u32, &'static str),
}

impl Members<'_> {
    fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Unknown> {
        let told = self.shapes.of(value)?;
        self.fields.push((name.to_owned(), told));
        Ok(())
    }

    fn finish(self) -> Result<String, Unknown> {
        let types = || self.fields.iter().map(|(_, told)| told.clone());
        Ok(match self.kind {
            Kind::Sequence => {
                let element = types().fold(UNTOLD.to_owned(), |known, new| fuller(&known, &new));
                format!("Vec<{element}>")
            }
            Kind::Tuple if types().len() > 2 => {
                let first = types().next().unwrap_or_default();
                assert!(types().all(|told| told == first), "a long tuple is an array");
                format!("[{first}; {}]", self.fields.len())
            }
            Kind::Tuple => format!("({})", types().collect::<Vec<_>>().join(", ")),
            Kind::Structure("Duration") => "Duration".into(),
            Kind::Structure(name) => {
                self.shapes.structure(name, self.fields);
                name.into()
            }
            Kind::Variant(name, index, variant) => {
                self.shapes.variant(name, index, variant, self.fields);
                name.into()
            }
        })
    }
}

macro_rules! scalars {
    ($($function:ident($from:ty) = $name:expr;)*) => {
        $(fn $function(self, _: $from) -> Result<String, Unknown> {
            Ok($name.into())
        })*
    };
}

/// What the protocol has no use for.
macro_rules! refused {
    ($($function:ident($from:ty);)*) => {
        $(fn $function(self, _: $from) -> Result<String, Unknown> {
            Err(Unknown(format!("the page has no type for {}", stringify!($from))))
        })*
    };
}

impl<'a> ser::Serializer for Look<'a> {
    type Ok = String;
    type Error = Unknown;
    type SerializeSeq = Members<'a>;
    type SerializeTuple = Members<'a>;
    type SerializeTupleStruct = Members<'a>;
    type SerializeTupleVariant = Members<'a>;
    type SerializeMap = ser::Impossible<String, Unknown>;
    type SerializeStruct = Members<'a>;
    type SerializeStructVariant = Members<'a>;

    scalars! {
        serialize_bool(bool) = "bool";
        serialize_u8(u8) = "u8";
        serialize_u32(u32) = "u32";
        serialize_u64(u64) = "u64";
        serialize_i32(i32) = "i32";
        serialize_f64(f64) = "f64";
        serialize_str(&str) = "String";
        serialize_bytes(&[u8]) = "bytes";
    }

    refused! {
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i64(i64);
        serialize_u16(u16);
        serialize_f32(f32);
        serialize_char(char);
        serialize_unit_struct(&'static str);
    }

    fn serialize_unit(self) -> Result<String, Unknown> {
        Err(Unknown("the page has no type for ()".into()))
    }

    fn serialize_none(self) -> Result<String, Unknown> {
        Ok(format!("Option<{UNTOLD}>"))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<String, Unknown> {
        Ok(format!("Option<{}>", self.0.of(value)?))
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<String, Unknown> {
        self.0.variant(name, index, variant, Vec::new());
        Ok(name.into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<String, Unknown> {
        self.0.of(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<String, Unknown> {
        let told = self.0.of(value)?;
        self.0.variant(name, index, variant, vec![(String::new(), told)]);
        Ok(name.into())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Members<'a>, Unknown> {
        Ok(Members { shapes: self.0, kind: Kind::Sequence, fields: Vec::new() })
    }

    fn serialize_tuple(self, _: usize) -> Result<Members<'a>, Unknown> {
        Ok(Members { shapes: self.0, kind: Kind::Tuple, fields: Vec::new() })
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Members<'a>, Unknown> {
        Ok(Members { shapes: self.0, kind: Kind::Structure(name), fields: Vec::new() })
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Members<'a>, Unknown> {
        Ok(Members { shapes: self.0, kind: Kind::Variant(name, index, variant), fields: Vec::new() })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Unknown> {
        Err(Unknown("the page has no type for maps".into()))
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Members<'a>, Unknown> {
        Ok(Members { shapes: self.0, kind: Kind::Structure(name), fields: Vec::new() })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Members<'a>, Unknown> {
        Ok(Members { shapes: self.0, kind: Kind::Variant(name, index, variant), fields: Vec::new() })
    }
}

macro_rules! members {
    ($($interface:ident::$function:ident($($name:ident: $from:ty)?);)*) => {
        $(impl ser::$interface for Members<'_> {
            type Ok = String;
            type Error = Unknown;

            fn $function<T: Serialize + ?Sized>(&mut self, $($name: $from,)? value: &T) -> Result<(), Unknown> {
                let name: &str = ""; $(let _ = name; let name = $name;)?
                self.member(name, value)
            }

            fn end(self) -> Result<String, Unknown> {
                self.finish()
            }
        })*
    };
}

members! {
    SerializeSeq::serialize_element();
    SerializeTuple::serialize_element();
    SerializeTupleStruct::serialize_field();
    SerializeTupleVariant::serialize_field();
    SerializeStruct::serialize_field(name: &'static str);
    SerializeStructVariant::serialize_field(name: &'static str);
}
