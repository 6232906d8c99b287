//! Stand-in: streams that outlive their networks.
#![allow(missing_docs, clippy::missing_errors_doc)]

pub mod context;
pub mod tracker;

use std::error::Error as StdError;
use std::future::IntoFuture;
use std::sync::Arc;

pub use context::Context;

use crate::deferral::{Op, Operation};
use crate::endpoint::{Endpoint, EndpointError};
use crate::label::Label;

#[derive(Debug, Clone, Default)]
pub struct Settings {}

#[derive(Debug)]
pub struct McStream {}
#[derive(Debug)]
pub struct Listener {}
#[derive(Debug, Clone)]
pub struct Session {}

macro_rules! errors {
    ($($name:ident)*) => {$(
        #[derive(Debug, thiserror::Error)]
        #[non_exhaustive]
        pub enum $name {
            #[error("outside a tokio runtime")]
            NoRuntime,
            #[error("the manager of this runtime could not be made")]
            Manager(#[source] Arc<dyn StdError + Send + Sync>),
            #[error("bad endpoint")]
            Endpoint(#[from] EndpointError),
            #[error("closed")]
            Closed,
            #[error("input or output failed")]
            Io(#[from] std::io::Error),
        }
    )*};
}
errors! { ConnectError ListenError AcceptError SessionError MessageError }

macro_rules! builders {
    ($($name:ident -> $out:ident, $error:ident)*) => {$(
        #[derive(Debug)]
        #[must_use]
        pub struct $name {
            context: Result<Arc<dyn Context>, $error>,
            to: Result<Endpoint, EndpointError>,
        }
        impl $name {
            pub fn new(
                context: Result<Arc<dyn Context>, $error>,
                to: Result<Endpoint, EndpointError>,
            ) -> Self {
                $name { context, to }
            }
            pub fn label(self, _label: Label) -> Self {
                self
            }
        }
        impl IntoFuture for $name {
            type Output = Result<$out, $error>;
            type IntoFuture = Op<Self::Output>;
            fn into_future(self) -> Self::IntoFuture {
                Op::new(Operation::new(), async move {
                    let context = self.context?;
                    let to = self.to?;
                    let Ok(transport) = context.transports().get(to.scheme()) else {
                        return Err($error::Closed);
                    };
                    let _ = transport.connect(&to, None).await?;
                    Ok($out {})
                })
            }
        }
    )*};
}
builders! { Connect -> McStream, ConnectError  Listen -> Listener, ListenError }
