//! How a client uses the network: what an app says at opening, and what it passes on of the
//! operating system's.

use crate::error::CallError;
use landfall_device::transport::{Http, Trust};
use landfall_device::{self as device, DirectoryKey, code};
use std::sync::Arc;

/// What the user's network and battery are like now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct Conditions {
    /// Bytes cost the user money.
    #[uniffi(default = false)]
    pub metered: bool,
    /// The device saves its battery.
    #[uniffi(default = false)]
    pub low_power: bool,
}

impl From<Conditions> for device::Conditions {
    fn from(conditions: Conditions) -> Self {
        let Conditions { metered, low_power } = conditions;
        Self { metered, low_power }
    }
}

/// What is synced over a metered network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum OnMetered {
    /// Everything, as over any other.
    All,
    /// Own writes and what becomes of them; rows wait.
    Writes,
    /// Nothing.
    Nothing,
}

/// What syncing may cost, whose directory of regions is followed, and who may certify them. What is
/// left out is as docs/regions.md says.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct NetworkOptions {
    /// What is synced over a metered network; everything, if left out.
    #[uniffi(default = None)]
    pub on_metered: Option<OnMetered>,
    /// Bytes a day, both ways, over metered networks; own writes still leave beyond it.
    #[uniffi(default = None)]
    pub metered_bytes_a_day: Option<u64>,
    /// While the device saves its battery, writes wait so long for others to leave with them, in
    /// milliseconds.
    #[uniffi(default = None)]
    pub low_power_gather_ms: Option<u64>,
    /// Of a hundred pushes, so many may be offered to a second region. 0: none ever.
    #[uniffi(default = None)]
    pub hedge_percent: Option<u32>,
    /// Public keys that directories of regions are signed with, as `landfall directory key` prints
    /// them. None: no directory is taken.
    #[uniffi(default = [])]
    pub directory_keys: Vec<String>,
    /// Authorities that certify regions besides those that browsers trust, such as a company's own:
    /// their certificates in PEM, one after the other.
    #[uniffi(default = None)]
    pub roots: Option<String>,
    /// Trust those of `roots` alone.
    #[uniffi(default = false)]
    pub roots_only: bool,
}

/// Set what the app says. Fails with `LF2310` if a key is none, with `LF2140` if the roots are none.
pub(crate) fn apply(options: NetworkOptions, to: &mut device::Options) -> Result<(), CallError> {
    let NetworkOptions {
        on_metered,
        metered_bytes_a_day,
        low_power_gather_ms,
        hedge_percent,
        directory_keys,
        roots,
        roots_only,
    } = options;
    let trust = match roots {
        Some(pem) if !roots_only => Trust::PublicAnd(pem.into()),
        Some(pem) => Trust::Only(pem.into()),
        // None, and nobody else: that is nobody at all.
        None if roots_only => Trust::Only(Vec::new()),
        None => Trust::Public,
    };
    to.transport = Arc::new(Http::trusting(&trust)?);
    let to = &mut to.network;
    if let Some(on_metered) = on_metered {
        to.policy.on_metered = match on_metered {
            OnMetered::All => device::OnMetered::All,
            OnMetered::Writes => device::OnMetered::Writes,
            OnMetered::Nothing => device::OnMetered::Nothing,
        };
    }
    to.policy.metered_bytes_a_day = metered_bytes_a_day.or(to.policy.metered_bytes_a_day);
    to.policy.low_power_gather_ms = low_power_gather_ms.unwrap_or(to.policy.low_power_gather_ms);
    to.hedge_percent = hedge_percent.unwrap_or(to.hedge_percent);
    to.directory_keys =
        directory_keys.iter().map(|key| directory_key(key)).collect::<Result<_, _>>()?;
    Ok(())
}

fn directory_key(text: &str) -> Result<DirectoryKey, CallError> {
    text.parse().map_err(|e| CallError::Failed {
        code: code::DIRECTORY_KEY.to_owned(),
        detail: format!("A key of the directory is not taken: {e}."),
        edit: None,
        field: None,
    })
}
