//! The classes with their properties, in the order of the documentation.

mod associations;
mod collections;
mod jobs;
mod machines;
mod relationship;
mod service;

use super::{CimType, Class, Limit, Property, Reading};
use crate::live::Scene;
use crate::object::Kind;
use crate::value::Value;

const V2: &str = "root\\virtualization\\v2";

const fn property(name: &'static str, ty: CimType) -> Property {
    Property { name, ty, array: false, key: false, limit: Limit::None, reading: Reading::Null }
}

const fn string(name: &'static str) -> Property {
    property(name, CimType::Text)
}

const fn boolean(name: &'static str) -> Property {
    property(name, CimType::Boolean)
}

const fn uint16(name: &'static str) -> Property {
    property(name, CimType::Uint16)
}

const fn uint32(name: &'static str) -> Property {
    property(name, CimType::Uint32)
}

const fn uint64(name: &'static str) -> Property {
    property(name, CimType::Uint64)
}

const fn datetime(name: &'static str) -> Property {
    property(name, CimType::DateTime)
}

const fn reference(name: &'static str, class: &'static str) -> Property {
    property(name, CimType::Reference(class))
}

impl Property {
    const fn array(mut self) -> Self {
        self.array = true;
        self
    }

    const fn key(mut self) -> Self {
        self.key = true;
        self
    }

    const fn limit(mut self, limit: Limit) -> Self {
        self.limit = limit;
        self
    }

    const fn max(self, length: u16) -> Self {
        self.limit(Limit::Length(length))
    }

    const fn is(mut self, reading: Reading) -> Self {
        self.reading = reading;
        self
    }

    const fn text(self, value: &'static str) -> Self {
        self.is(Reading::Text(value))
    }

    const fn number(self, value: i64) -> Self {
        self.is(Reading::Number(value))
    }

    const fn live(self, live: fn(&Scene<'_>) -> Value) -> Self {
        self.is(Reading::Live(live))
    }
}

const fn class(name: &'static str, base: &'static str, kind: Kind, properties: &'static [Property]) -> Class {
    Class { name, base, namespace: V2, properties, kind }
}

/// Every class.
pub const CLASSES: &[&Class] = &[
    &service::SERVICE,
    &relationship::RELATIONSHIP,
    &relationship::SETTINGS,
    &service::SERVICE_SETTINGS,
    &service::AUTHORIZATION,
    &relationship::STATISTICS,
    &service::PROVIDER,
    &associations::SYSTEM_RELATIONSHIP,
    &associations::TEST_REPLICA,
    &associations::SNAPSHOT_OF,
    &associations::LAST_APPLIED,
    &associations::MOST_CURRENT,
    &associations::ADAPTER_FAILOVER,
    &associations::AFFECTED_JOB,
    &associations::DEFINE_STATE,
    &machines::FAILOVER_ADAPTER,
    &jobs::JOB,
    &jobs::ERROR,
    &machines::MACHINE,
    &machines::SUMMARY,
    &machines::MACHINE_SETTINGS,
    &machines::DISK,
    &machines::ADAPTER,
    &machines::MANAGEMENT,
    &collections::SERVICE,
    &collections::COLLECTION,
    &collections::POINT,
    &collections::SHARED_DISKS,
    &collections::SETTINGS,
];
