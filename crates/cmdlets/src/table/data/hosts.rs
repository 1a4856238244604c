//! Hosts: replica server settings, who may send, connections; network adapters at failover; media.

use super::{
    ADAPTER_OBJECT, AUTHENTICATION, BY_VM_NAME, CHANGES, COMMON, Class, Cmdlet, JOB, ONLY, PASSTHRU, PORT,
    Parameter, Place, REMOTE, THREE_SETS, Type, VM_OBJECT, Verb, at, enumerations, must, named, needed, row,
};
use super::{CREDENTIAL, SESSIONS};

const IMPORT_PARAMETERS: &[Parameter] = &[Parameter::new("Path", Type::Text).alias(&["IRLoc"]).on(&[
    must("VMName", 1),
    must("VMObject", 1),
    must("VMReplication", 1),
])];

pub(super) const IMPORT: Cmdlet = row(
    "Import-VMInitialReplication",
    Verb::ImportInitial,
    THREE_SETS,
    &[BY_VM_NAME, IMPORT_PARAMETERS, REMOTE, JOB, PASSTHRU, CHANGES, COMMON],
)
.returns(Class::Machine);

pub(super) const TEST_CONNECTION: Cmdlet = row(
    "Test-VMReplicationConnection",
    Verb::TestConnection,
    &[ONLY],
    &[
        &[
            Parameter::new("ReplicaServerName", Type::Text).alias(&["ReplicaServer"]).on(&[must(ONLY, 0)]),
            Parameter::new("ReplicaServerPort", PORT)
                .alias(&["ReplicaPort"])
                .no_effect()
                .on(&[must(ONLY, 1)]),
            Parameter::new("AuthenticationType", AUTHENTICATION).alias(&["AuthType"]).on(&[must(ONLY, 2)]),
            Parameter::new("CertificateThumbprint", Type::Text)
                .alias(&["Thumbprint", "Cert"])
                .on(&[at(ONLY, 3)]),
            Parameter::new("BypassProxyServer", Type::Boolean).no_effect(),
        ],
        REMOTE,
        COMMON,
    ],
);

pub(super) const GET_SERVER: Cmdlet = row(
    "Get-VMReplicationServer",
    Verb::GetServer,
    &["ComputerName", "CimSession"],
    &[
        &[
            Parameter::new("ComputerName", Type::Texts).on(&[named("ComputerName")]),
            Parameter::new("Credential", CREDENTIAL).on(&[named("ComputerName")]),
            Parameter::new("CimSession", SESSIONS).on(&[must("CimSession", 0)]),
        ],
        COMMON,
    ],
)
.returns(Class::Server);

const MAPPING: Type = Type::Object("System.Collections.Hashtable", "only a cluster needs ports by node");

pub(super) const SET_SERVER: Cmdlet =
    row("Set-VMReplicationServer", Verb::Lacking, &["AuthenticationPort", "AuthenticationPortMapping"], {
        const PORTS: &[Place] = &[named("AuthenticationPort")];
        const MAPPINGS: &[Place] = &[named("AuthenticationPortMapping")];
        const fn both(position: u8) -> [Place; 2] {
            [at("AuthenticationPort", position), at("AuthenticationPortMapping", position)]
        }
        const FIRST: &[Place] = &both(0);
        const SECOND: &[Place] = &both(1);
        const THIRD: &[Place] = &both(2);
        &[
            &[
                Parameter::new("ReplicationEnabled", Type::Boolean).alias(&["RepEnabled"]).on(FIRST),
                Parameter::new(
                    "AllowedAuthenticationType",
                    Type::Choice(enumerations::ALLOWED_AUTHENTICATION),
                )
                .alias(&["AuthType"])
                .on(SECOND),
                Parameter::new("ReplicationAllowedFromAnyServer", Type::Boolean)
                    .alias(&["AllowAnyServer"])
                    .on(THIRD),
                Parameter::new("CertificateThumbprint", Type::Text).alias(&["Thumbprint"]),
                Parameter::new("DefaultStorageLocation", Type::Text).alias(&["StorageLoc"]),
                Parameter::new("KerberosAuthenticationPort", PORT).alias(&["KerbAuthPort"]).on(PORTS),
                Parameter::new("CertificateAuthenticationPort", PORT).alias(&["CertAuthPort"]).on(PORTS),
                Parameter::new("KerberosAuthenticationPortMapping", MAPPING).on(MAPPINGS),
                Parameter::new("CertificateAuthenticationPortMapping", MAPPING).on(MAPPINGS),
                Parameter::new("MonitoringInterval", Type::Hours(MONITORING_H)),
                Parameter::new("MonitoringStartTime", Type::TimeOfDay),
                Parameter::switch("Force"),
            ],
            REMOTE,
            PASSTHRU,
            CHANGES,
            COMMON,
        ]
    })
    .returns(Class::Server)
    .lacks("a change of a host's settings: the scenario's topology says which hosts are replica servers");

/// The monitoring intervals that the module allows.
const MONITORING_H: &[i64] = &[1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 96, 120, 144, 168];

const ENTRY: Type = Type::Object(
    "Microsoft.HyperV.PowerShell.VMReplicationAuthorizationEntry[]",
    "name the server with -AllowedPrimaryServer",
);
const ENTRIES: &str = "authorization entries: a replica server accepts every primary";

const fn allowed(places: &'static [Place]) -> Parameter {
    Parameter::new("AllowedPrimaryServer", Type::Text).alias(&["AllowedPS"]).on(places)
}

const fn storage(places: &'static [Place]) -> Parameter {
    Parameter::new("ReplicaStorageLocation", Type::Text).alias(&["StorageLoc"]).on(places)
}

const BY_ENTRY: Parameter = Parameter::new("VMReplicationAuthorizationEntry", ENTRY)
    .alias(&["VMRepAuthEntry"])
    .piped()
    .on(&[must("Object", 0)]);

pub(super) const NEW_ENTRY: Cmdlet = row(
    "New-VMReplicationAuthorizationEntry",
    Verb::Lacking,
    &[ONLY],
    &[
        &[
            allowed(&[must(ONLY, 0)]),
            storage(&[must(ONLY, 1)]),
            Parameter::new("TrustGroup", Type::Text).on(&[must(ONLY, 2)]),
        ],
        REMOTE,
        CHANGES,
        COMMON,
    ],
)
.returns(Class::Entry)
.lacks(ENTRIES);

pub(super) const GET_ENTRY: Cmdlet = row(
    "Get-VMReplicationAuthorizationEntry",
    Verb::GetEntry,
    &[ONLY],
    &[
        &[allowed(&[at(ONLY, 0)]), storage(&[named(ONLY)]), Parameter::new("TrustGroup", Type::Text)],
        REMOTE,
        COMMON,
    ],
)
.returns(Class::Entry);

pub(super) const SET_ENTRY: Cmdlet = row(
    "Set-VMReplicationAuthorizationEntry",
    Verb::Lacking,
    &["Name", "Object"],
    &[
        &[
            allowed(&[must("Name", 0)]),
            BY_ENTRY,
            storage(&[at("Name", 1), at("Object", 1)]),
            Parameter::new("TrustGroup", Type::Text).on(&[at("Name", 2), at("Object", 2)]),
        ],
        REMOTE,
        PASSTHRU,
        CHANGES,
        COMMON,
    ],
)
.returns(Class::Entry)
.lacks(ENTRIES);

pub(super) const REMOVE_ENTRY: Cmdlet = row(
    "Remove-VMReplicationAuthorizationEntry",
    Verb::Lacking,
    &["PrimaryServerName", "TrustGroup", "Object"],
    &[
        &[
            allowed(&[must("PrimaryServerName", 0)]),
            Parameter::new("TrustGroup", Type::Text).on(&[needed("TrustGroup")]),
            BY_ENTRY,
        ],
        REMOTE,
        PASSTHRU,
        CHANGES,
        COMMON,
    ],
)
.returns(Class::Entry)
.lacks(ENTRIES);

const ADAPTER_SETS: &[&str] = &["VMName", "VMObject", "ResourceObject"];
const BY_ADAPTER: &[Parameter] = &[
    Parameter::new("VMName", Type::Texts).on(&[must("VMName", 0)]),
    Parameter::new("VM", VM_OBJECT).piped().on(&[must("VMObject", 0)]),
    Parameter::new("VMNetworkAdapter", ADAPTER_OBJECT).piped().on(&[must("ResourceObject", 0)]),
];
const ADAPTER_NAME: &[Parameter] =
    &[Parameter::new("VMNetworkAdapterName", Type::Text).on(&[named("VMName"), named("VMObject")])];

pub(super) const GET_ADAPTER_FAILOVER: Cmdlet = row(
    "Get-VMNetworkAdapterFailoverConfiguration",
    Verb::GetAdapterFailover,
    ADAPTER_SETS,
    &[BY_ADAPTER, ADAPTER_NAME, REMOTE, COMMON],
)
.returns(Class::AdapterFailover);

pub(super) const SET_ADAPTER_FAILOVER: Cmdlet = row(
    "Set-VMNetworkAdapterFailoverConfiguration",
    Verb::SetAdapterFailover,
    ADAPTER_SETS,
    &[
        BY_ADAPTER,
        ADAPTER_NAME,
        &[
            Parameter::new("IPv4Address", Type::Text),
            Parameter::new("IPv4SubnetMask", Type::Text),
            Parameter::new("IPv4PreferredDNSServer", Type::Text),
            Parameter::new("IPv4AlternateDNSServer", Type::Text),
            Parameter::new("IPv4DefaultGateway", Type::Text),
            Parameter::new("IPv6Address", Type::Text),
            Parameter::new("IPv6SubnetPrefixLength", Type::Integer(0, 128)),
            Parameter::new("IPv6PreferredDNSServer", Type::Text),
            Parameter::new("IPv6AlternateDNSServer", Type::Text),
            Parameter::new("IPv6DefaultGateway", Type::Text),
            Parameter::switch("ClearFailoverIPv4Settings"),
            Parameter::switch("ClearFailoverIPv6Settings"),
        ],
        REMOTE,
        PASSTHRU,
        CHANGES,
        COMMON,
    ],
)
.returns(Class::AdapterFailover);

pub(super) const SET_ADAPTER: Cmdlet = row(
    "Set-VMNetworkAdapter",
    Verb::SetAdapter,
    ADAPTER_SETS,
    &[
        BY_ADAPTER,
        &[
            Parameter::new("Name", Type::Text)
                .alias(&["VMNetworkAdapterName"])
                .on(&[named("VMName"), named("VMObject")]),
            Parameter::new("TestReplicaSwitchName", Type::Text),
            Parameter::new("TestReplicaPoolName", Type::Text),
        ],
        REMOTE,
        PASSTHRU,
        CHANGES,
        COMMON,
    ],
)
.returns(Class::Adapter);
