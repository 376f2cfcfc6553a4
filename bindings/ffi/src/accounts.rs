//! Several people on one device; see [`landfall_device::Accounts`].

use crate::client::Client;
use crate::error::CallError;
use crate::network::NetworkOptions;
use crate::open::{self, Region, TokenProvider};
use landfall_device as device;
use std::sync::Arc;

/// Whose data a file holds.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Account {
    /// The customer of the backend's operator; `""` where there is only one.
    pub tenant: String,
    /// The user, as tokens name it (`sub`).
    pub subject: String,
}

impl From<&device::Account> for Account {
    fn from(account: &device::Account) -> Self {
        Self { tenant: account.tenant.clone(), subject: account.subject.clone() }
    }
}

impl From<Account> for device::Account {
    fn from(account: Account) -> Self {
        Self { tenant: account.tenant, subject: account.subject }
    }
}

/// What all accounts of a device have in common.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct AccountsOptions {
    /// The folder of their files; made if it is not there.
    pub folder: String,
    /// The app's schema, as GraphQL SDL.
    pub schema: String,
    /// Regions in order of preference. None: clients never sync.
    pub regions: Vec<Region>,
    /// Clients stay offline until told otherwise.
    #[uniffi(default = false)]
    pub start_offline: bool,
    /// Evict rows when more than so many bytes of a file are in use.
    #[uniffi(default = None)]
    pub disk_bytes_max: Option<u64>,
    /// What syncing may cost, whose directory of regions is followed, and who may certify them.
    #[uniffi(default = None)]
    pub network: Option<NetworkOptions>,
}

/// What to do with what is unsent when somebody signs out. To wait for it, drain the client first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Unsent {
    /// Keep the file with all that is in it, until the account returns.
    Keep,
    /// Remove the file with all that is in it, unsent writes too.
    Discard,
}

/// An account whose file is on this device.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct KnownAccount {
    /// Who.
    pub account: Account,
    /// Writes that are not yet as safe as was asked for.
    pub unsent: u64,
}

/// The accounts of a device: a file for each.
#[derive(Debug, uniffi::Object)]
pub struct AccountFiles(device::Accounts);

#[uniffi::export]
impl AccountFiles {
    /// The accounts whose files are in a folder.
    #[uniffi::constructor(name = "open")]
    pub fn open(options: AccountsOptions) -> Result<Arc<Self>, CallError> {
        let defaults = open::defaults(&options)?;
        Ok(Arc::new(Self(device::Accounts::new(options.folder, defaults)?)))
    }

    /// An account for somebody who has none yet: a name that no other device draws.
    pub fn anonymous(&self) -> Account {
        (&self.0.anonymous()).into()
    }

    /// Open an account's file, or make it, and begin to sync.
    pub fn sign_in(
        &self,
        account: Account,
        tokens: Arc<dyn TokenProvider>,
    ) -> Result<Arc<Client>, CallError> {
        let client = self.0.sign_in(account.into(), open::provider(tokens))?;
        let schema = client.schema_shared();
        Ok(Client::of(client, schema))
    }

    /// Close an account's client, and keep or remove its file. Returns how many writes were unsent.
    pub fn sign_out(&self, client: &Client, unsent: Unsent) -> Result<u64, CallError> {
        let how = match unsent {
            Unsent::Keep => device::SignOut::Keep,
            Unsent::Discard => device::SignOut::Discard,
        };
        Ok(self.0.sign_out(client.inner(), how)?)
    }

    /// Every account that has a file here, by tenant and subject.
    pub fn list(&self) -> Result<Vec<KnownAccount>, CallError> {
        let known = |k: device::KnownAccount| KnownAccount {
            account: (&k.account).into(),
            unsent: k.unsent,
        };
        Ok(self.0.list()?.into_iter().map(known).collect())
    }

    /// Remove an account's file with all that is in it. Not while it is open.
    pub fn wipe(&self, account: Account) -> Result<(), CallError> {
        Ok(self.0.wipe(&account.into())?)
    }

    /// Let an account take over what an anonymous one did here. Neither is open meanwhile. Returns
    /// how many writes were taken over. Fails with `LF2109` if one is on its way.
    pub fn claim(&self, anonymous: Account, account: Account) -> Result<u64, CallError> {
        Ok(self.0.claim(&anonymous.into(), &account.into())?)
    }
}
