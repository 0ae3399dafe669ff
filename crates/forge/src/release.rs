//! A release as a whole: a draft, its assets, and at last the word that publishes it. Each step looks at what is there,
//! so that a run that was cut off anywhere is taken up by the next.

use std::fmt;

use rondel_cas::Digest;

use crate::announcement::Announcement;
use crate::api::{AssetAnswer, ReleaseAnswer};
use crate::asset::{Asset, check};
use crate::client::{Client, Watcher};
use crate::error::ForgeError;

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Where people see it, if the forge tells.
    pub url: Option<String>,
    /// True if people see it, and it is no draft.
    pub is_public: bool,
    /// Names of the assets that were sent.
    pub sent: Vec<String>,
    /// Number of their bytes.
    pub bytes: u64,
    /// Number of assets that were there.
    pub kept: usize,
    /// Number of assets that were removed: half of one, another one, or one too many.
    pub removed: usize,
    /// True if the release was made, changed or published.
    pub is_changed: bool,
    /// Assets that are no part of this release.
    pub others: Vec<String>,
    /// What the forge calls an asset, where that is another name: the name here, and there.
    pub renamed: Vec<(String, String)>,
}

impl fmt::Display for Published {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [(self.sent.len(), "sent"), (self.kept, "there"), (self.removed, "removed")];
        let words: Vec<String> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        let state = if self.is_public { "published" } else { "a draft" };
        write!(formatter, "assets: {}; {} bytes sent; {state}", words.join(", "), self.bytes)
    }
}

/// One run.
struct Run<'a> {
    client: &'a Client,
    release: ReleaseAnswer,
    watcher: &'a Watcher<'a>,
    replaces: bool,
    /// Bytes of all assets, and of those that are there.
    total: u64,
    done: u64,
    published: Published,
}

impl Client {
    /// Brings a release to the forge: all assets, and then it is published. What is there is kept.
    pub fn publish(
        &self,
        announcement: &Announcement,
        assets: &[Asset],
        watcher: &Watcher<'_>,
    ) -> Result<Published, ForgeError> {
        check(assets, self.place.kind())?;
        let (release, is_new) = self.draft(announcement, watcher)?;
        let there = if is_new { Vec::new() } else { self.assets(release.id, watcher)? };
        let replaces = announcement.replaces;
        let total = assets.iter().map(|asset| asset.digest.size()).sum();
        let published = Published { is_changed: is_new, ..Published::default() };
        let mut run = Run { client: self, release, watcher, replaces, total, done: 0, published };
        // Nothing is sent to a release that will be refused.
        run.refuse_others(assets, &there)?;
        for asset in assets {
            run.place(asset, &there)?;
        }
        run.finish(announcement, assets, there)
    }

    /// Returns what the release lacks, in words; `None` if everything is there and published.
    pub fn lack(
        &self,
        announcement: &Announcement,
        assets: &[Asset],
        watcher: &Watcher<'_>,
    ) -> Result<Option<String>, ForgeError> {
        check(assets, self.place.kind())?;
        let (host, tag) = (self.host(), &announcement.tag);
        let Some(release) = self.find(tag, watcher)? else { return Ok(Some(format!("{host} has no release {tag}"))) };
        let there = self.assets(release.id, watcher)?;
        for asset in assets {
            let name = asset.name_at(self.place.kind());
            let mut same = there.iter().filter(|other| other.name == name);
            let is_there = match same.next().filter(|other| other.may_be(&asset.digest) && same.next().is_none()) {
                Some(other) => self.digest_there(release.id, other, watcher)? == asset.digest.oci(),
                None => false,
            };
            if !is_there {
                return Ok(Some(format!("{host} lacks `{name}` in {tag}")));
            }
        }
        let waits = release.draft && (!announcement.stays_draft || !is_said(&release, announcement));
        Ok(waits.then(|| format!("{tag} is a draft at {host}")))
    }

    /// Returns the release of the tag, and whether it was made now.
    fn draft(&self, announcement: &Announcement, watcher: &Watcher<'_>) -> Result<(ReleaseAnswer, bool), ForgeError> {
        let mut attempt = 0;
        loop {
            if let Some(found) = self.find(&announcement.tag, watcher)? {
                return Ok((found, false));
            }
            attempt += 1;
            match self.create(announcement, watcher) {
                Ok(made) => return Ok((made, true)),
                Err(error) if attempt < self.patience.attempts && may_be_there(&error) => {
                    self.back_off(attempt, &error, watcher)?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Run<'_> {
    /// Fails if an asset is there with other bytes, and may not be replaced.
    fn refuse_others(&self, assets: &[Asset], there: &[AssetAnswer]) -> Result<(), ForgeError> {
        for asset in assets {
            for other in self.named(asset, there).filter(|other| other.is_whole()) {
                if !other.may_be(&asset.digest) && (!self.replaces || !self.release.draft) {
                    return Err(self.differs(asset, self.client.digest_there(self.release.id, other, self.watcher)?));
                }
            }
        }
        Ok(())
    }

    fn named<'t>(&self, asset: &Asset, there: &'t [AssetAnswer]) -> impl Iterator<Item = &'t AssetAnswer> + use<'t> {
        let name = asset.name_at(self.client.place.kind());
        there.iter().filter(move |other| other.name == name)
    }

    fn differs(&self, asset: &Asset, there: String) -> ForgeError {
        let place = format!("the release {} at {}", self.release.tag_name, self.client.host());
        let (name, here, is_published) = (asset.name.clone(), asset.digest, !self.release.draft);
        ForgeError::Differs { place, name, here, there, is_published }
    }

    /// Sees to it that an asset is there, whole and once. `there` is what was there at the beginning.
    fn place(&mut self, asset: &Asset, there: &[AssetAnswer]) -> Result<(), ForgeError> {
        let name = asset.name_at(self.client.place.kind());
        if name != asset.name {
            self.published.renamed.push((asset.name.clone(), name.clone()));
        }
        let mut here: Vec<AssetAnswer> = self.named(asset, there).cloned().collect();
        let (mut attempt, mut was_tried) = (0, false);
        loop {
            if self.settle(asset, &here)? {
                // What came though its answer was lost was sent by this run.
                if was_tried {
                    self.count_sent(asset, name)
                } else {
                    self.published.kept += 1
                }
                self.done += asset.digest.size();
                return Ok(());
            }
            attempt += 1;
            was_tried = true;
            let error = match self.send(asset, &name) {
                Ok(()) => {
                    self.count_sent(asset, name);
                    self.done += asset.digest.size();
                    return Ok(());
                }
                Err(error) if attempt < self.client.patience.attempts && may_be_there(&error) => error,
                Err(error) => return Err(error),
            };
            self.client.back_off(attempt, &error, self.watcher)?;
            let now = self.client.assets(self.release.id, self.watcher)?;
            here = self.named(asset, &now).cloned().collect();
        }
    }

    fn count_sent(&mut self, asset: &Asset, name: String) {
        self.published.bytes += asset.digest.size();
        self.published.sent.push(name);
    }

    /// Removes what has the name of an asset and is of no use; returns true if the asset itself is left.
    fn settle(&mut self, asset: &Asset, here: &[AssetAnswer]) -> Result<bool, ForgeError> {
        let mut is_there = false;
        for other in here {
            if !other.is_whole() {
                self.remove(other)?;
                continue;
            }
            let digest = match other.may_be(&asset.digest) || !self.release.draft || !self.replaces {
                true => self.client.digest_there(self.release.id, other, self.watcher)?,
                false => String::new(),
            };
            match digest == asset.digest.oci() {
                true if !is_there => is_there = true,
                // Gitea takes a name twice.
                true if self.release.draft => self.remove(other)?,
                true => {}
                false if self.release.draft && self.replaces => self.remove(other)?,
                false => return Err(self.differs(asset, digest)),
            }
        }
        Ok(is_there)
    }

    fn remove(&mut self, asset: &AssetAnswer) -> Result<(), ForgeError> {
        self.client.delete(self.release.id, asset, self.watcher)?;
        self.published.removed += 1;
        self.published.is_changed = true;
        Ok(())
    }

    /// Sends an asset once. An error of kind `Failed` leaves it open whether it came.
    fn send(&mut self, asset: &Asset, name: &str) -> Result<(), ForgeError> {
        let path = || asset.path.display().to_string();
        let found = Digest::of_file(&asset.path).map_err(|error| ForgeError::Read { path: path(), error })?;
        if found != asset.digest {
            let error = std::io::Error::other("it was changed since it was made");
            return Err(ForgeError::Read { path: path(), error });
        }
        let progress = |sent: u64| (self.watcher.progress)(self.done + sent, self.total);
        let made = self.client.upload(&self.release, (name, &asset.path), &progress, self.watcher)?;
        self.published.is_changed = true;
        if made.name == name && made.may_be(&asset.digest) {
            return Ok(());
        }
        // It is of this run, so that it may go.
        self.client.delete(self.release.id, &made, self.watcher)?;
        let told = made.told_digest().unwrap_or("no digest");
        let message = format!("it has it as `{}`, {} bytes, {told}", made.name.escape_debug(), made.size);
        Err(ForgeError::Failed { host: self.client.host(), what: format!("`{name}`"), message })
    }

    /// Looks at all assets once more if something was sent, and publishes the release.
    fn finish(
        mut self,
        announcement: &Announcement,
        assets: &[Asset],
        there: Vec<AssetAnswer>,
    ) -> Result<Published, ForgeError> {
        let (client, watcher) = (self.client, self.watcher);
        let is_same = self.published.sent.is_empty() && self.published.removed == 0;
        let there = if is_same { there } else { client.assets(self.release.id, watcher)? };
        for asset in assets {
            let mut found = self.named(asset, &there);
            if !found.next().is_some_and(|other| other.may_be(&asset.digest)) || found.next().is_some() {
                let message = "it does not list it as it was sent: run again".to_owned();
                return Err(ForgeError::Failed { host: client.host(), what: format!("`{}`", asset.name), message });
            }
        }
        let own: Vec<String> = assets.iter().map(|asset| asset.name_at(client.place.kind())).collect();
        let others = there.into_iter().map(|other| other.name).filter(|name| !own.contains(name));
        self.published.others = others.collect();
        // What people have said of a published release stays.
        if self.release.draft && (!announcement.stays_draft || !is_said(&self.release, announcement)) {
            self.release = client.update(self.release.id, announcement, announcement.stays_draft, watcher)?;
            self.published.is_changed = true;
            if self.release.draft != announcement.stays_draft {
                let (what, message) = (format!("the release {}", announcement.tag), "it stayed a draft".to_owned());
                return Err(ForgeError::Failed { host: client.host(), what, message });
            }
        }
        self.published.is_public = !self.release.draft;
        self.published.url = self.release.html_url;
        Ok(self.published)
    }
}

/// Returns true if the forge says the same of a release.
fn is_said(release: &ReleaseAnswer, announcement: &Announcement) -> bool {
    let lines = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
    release.name.as_deref() == Some(announcement.name.as_str())
        && release.prerelease == announcement.is_prerelease
        && lines(release.body.as_deref().unwrap_or_default()) == lines(&announcement.notes())
}

/// Returns true if the thing that was to be made may be there: nobody answered, or it is said to exist.
fn may_be_there(error: &ForgeError) -> bool {
    matches!(error, ForgeError::Failed { .. } | ForgeError::Refused { status: 409 | 422, .. })
}
