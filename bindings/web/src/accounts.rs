//! Accounts of this browser whose files no client has open: what they say of themselves, and the
//! claim of an anonymous one.
//!
//! A folder for each account, under a name that TypeScript makes. It calls here under the lock of
//! each folder's name, in a worker of its own, and removes folders by itself.

use crate::convert::{self, failure, get, text, told};
use crate::options;
use crate::storage::Place;
use js_sys::{Error, Object};
use landfall_device::{Account, AccountFile, KnownAccount, code};
use wasm_bindgen::prelude::*;

/// Whose file lies in the folder of this name: a `KnownAccount` of the TypeScript package, or null
/// if there is none.
#[wasm_bindgen(js_name = knownAccount)]
pub async fn known_account(folder: &str, schema: &str) -> Result<JsValue, Error> {
    let place = Place::take(folder).await?;
    let known = look(&place, schema);
    place.leave();
    Ok(match known? {
        Some(KnownAccount { account, unsent }) => {
            let object = Object::new();
            convert::set(&object, "account", convert::account(&account));
            convert::set(&object, "unsent", unsent as f64);
            object.into()
        }
        None => JsValue::NULL,
    })
}

fn look(place: &Place, schema: &str) -> Result<Option<KnownAccount>, Error> {
    if !place.is_used()? {
        return Ok(None);
    }
    AccountFile::open(options::offline(place, schema, nobody())?)
        .and_then(|mut file| file.known())
        .map_err(told)
}

/// Let an account take over what an anonymous one did. `from` and `to` are `{ folder, account }`.
/// The caller removes the anonymous folder afterwards. Returns how many writes were taken over.
#[wasm_bindgen(js_name = claimAccount)]
pub async fn claim_account(from: JsValue, to: JsValue, schema: &str) -> Result<f64, Error> {
    let (anonymous, account) =
        (convert::account_of(&get(&from, "account"))?, convert::account_of(&get(&to, "account"))?);
    let old = Place::take(&text(&from, "folder")?).await?;
    let writes = match claim(&old, &text(&to, "folder")?, &anonymous, &account, schema).await {
        Ok(writes) => writes,
        Err(error) => {
            old.leave();
            return Err(error);
        }
    };
    old.leave();
    Ok(writes as f64)
}

async fn claim(
    old: &Place,
    to: &str,
    anonymous: &Account,
    account: &Account,
    schema: &str,
) -> Result<u64, Error> {
    if !old.is_used()? {
        return Err(failure(code::ACCOUNT_FILES, "The account has no file on this device."));
    }
    let opened = options::offline(old, schema, anonymous.clone())?;
    let mut file = AccountFile::open(opened).map_err(told)?;
    let unsent = file.unsent().map_err(told)?;
    let new = Place::take(to).await?;
    let claimed = (|| {
        if !new.is_used()? {
            file.adopt(account).map_err(told)?;
            drop(file);
            return old.copy_to(&new);
        }
        // A claim that was killed after the copy and before the old folder was removed.
        if file.known().map_err(told)?.is_some_and(|known| known.account == *account) {
            return Ok(());
        }
        let opened = options::offline(&new, schema, account.clone())?;
        let mut theirs = AccountFile::open(opened).map_err(told)?;
        theirs.take_over(account, &unsent).map_err(told)
    })();
    new.leave();
    claimed.map(|()| unsent.writes())
}

fn nobody() -> Account {
    Account { tenant: String::new(), subject: String::new() }
}
