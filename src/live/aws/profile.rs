//! The credentials of one profile, and of nothing else.

use aws_config::Region;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};

/// Whoever names a profile means it. The SDK's default chain would take keys of the environment
/// before it, and an instance's role where the profile is not there: another account, perhaps.
#[derive(Debug)]
pub(in crate::live) struct OnlyProfile {
    name: String,
    inner: ProfileFileCredentialsProvider,
}

impl OnlyProfile {
    pub(in crate::live) fn new(name: &str, region: Option<Region>) -> Self {
        let around = ProviderConfig::without_region().with_region(region);
        let inner = ProfileFileCredentialsProvider::builder().configure(&around).profile_name(name).build();
        Self { name: name.to_owned(), inner }
    }

    async fn credentials(&self) -> aws_credential_types::provider::Result {
        self.inner.provide_credentials().await.map_err(|it| {
            let absent = matches!(it, CredentialsError::CredentialsNotLoaded(_));
            let name = &self.name;
            let text = format!("profile {name} is not there, or has no credentials");
            if absent { CredentialsError::not_loaded(text) } else { it }
        })
    }
}

impl ProvideCredentials for OnlyProfile {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}
