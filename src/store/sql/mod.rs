//! Both stores in one set of bodies: SQLite (embedded, the default) and PostgreSQL.
//!
//! In: the operations of the traits in [`store`](super). Out: rows read into the model, or [`StoreError`]. Each statement is
//! one static text that both databases understand, stamped for both drivers by the macros in `dialect`; only the words that
//! `dialect` names differ. Deciding what to write is left to the stages; sealing of credentials to their owner.

mod bells;
mod change_log;
mod conflicts;
mod credentials;
mod dialect;
mod entities;
mod error;
mod growth;
mod installs;
mod invitations;
mod leases;
mod mirrors;
mod pool;
mod reports;
mod retention;
mod row_ref;
mod rows;
mod script;
mod settle;
mod stroke;
mod workspaces;

use std::sync::Arc;

pub use pool::{Access, CONNECTIONS, Db};

use super::{Result, Store, StoreError};

/// Opens the store that a URL names, making and migrating its tables: `sqlite://PATH` (relative, or absolute with a third
/// slash; made if missing, only its owner can read it) or `postgres://USER@HOST/DATABASE`. A second process on one SQLite
/// file is refused with [`StoreError::Locked`].
pub async fn open(url: &str) -> Result<Arc<Db>> {
    Ok(Arc::new(Db::open(url, Access::Serve, CONNECTIONS).await?))
}

/// Opens a store that is there already, for commands that only read, also beside the running service. It makes and
/// migrates nothing, and every write fails.
pub async fn open_read_only(url: &str) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(Db::open(url, Access::ReadOnly, CONNECTIONS).await?))
}
