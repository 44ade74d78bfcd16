//! Which images came, went, moved or are of another build. Sound for every
//! dump with a module list, whatever its map knows.

use std::collections::{BTreeMap, HashSet, VecDeque};

use super::snapshot::{Build, LoadedImage};

/// What became of the images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageChanges {
    /// In the last dump only.
    pub loaded: Vec<LoadedImage>,
    /// In the first dump only.
    pub unloaded: Vec<LoadedImage>,
    /// In both, at two addresses: the earlier and the later. Of one run only.
    pub moved: Vec<(LoadedImage, LoadedImage)>,
    /// In both under one name, of two builds.
    pub rebuilt: Vec<(LoadedImage, LoadedImage)>,
}

impl ImageChanges {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.loaded.is_empty()
            && self.unloaded.is_empty()
            && self.moved.is_empty()
            && self.rebuilt.is_empty()
    }
}

/// Pairs images of one name: those of one build and address first, then of
/// one build, then in the order of addresses.
pub(super) fn changes(
    before: &[LoadedImage],
    after: &[LoadedImage],
    same_run: bool,
) -> ImageChanges {
    let mut found = ImageChanges::default();
    let mut names: BTreeMap<&str, [Vec<&LoadedImage>; 2]> = BTreeMap::new();
    for (place, images) in [before, after].into_iter().enumerate() {
        for image in images {
            names.entry(&image.name).or_default()[place].push(image);
        }
    }
    for [mut old, mut new] in names.into_values() {
        let [was, is]: [HashSet<_>; 2] =
            [&old, &new].map(|images| images.iter().map(|image| exact(image)).collect());
        old.retain(|image| !is.contains(&exact(image)));
        new.retain(|image| !was.contains(&exact(image)));
        let mut builds: BTreeMap<&Build, VecDeque<&LoadedImage>> = BTreeMap::new();
        for image in new {
            builds.entry(&image.build).or_default().push_back(image);
        }
        let mut rest = Vec::new();
        for image in old {
            match builds.get_mut(&image.build).and_then(VecDeque::pop_front) {
                Some(other) if same_run => found.moved.push((image.clone(), other.clone())),
                Some(_) => {}
                None => rest.push(image),
            }
        }
        let mut new: Vec<&LoadedImage> = builds.into_values().flatten().collect();
        new.sort_by_key(|image| image.base);
        let pairs = rest.len().min(new.len());
        for (image, other) in rest.drain(..pairs).zip(new.drain(..pairs)) {
            found.rebuilt.push((image.clone(), other.clone()));
        }
        found.unloaded.extend(rest.into_iter().cloned());
        found.loaded.extend(new.into_iter().cloned());
    }
    found
}

fn exact(image: &LoadedImage) -> (u64, &Build) {
    (image.base, &image.build)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(name: &str, base: u64, build: &str) -> LoadedImage {
        let build = Build::Stamp(build.bytes().map(u32::from).sum(), 0x1000);
        LoadedImage { name: name.into(), base, size: 0x1000, build }
    }

    #[test]
    fn came_went_moved_and_built_anew() {
        let before =
            [image("a", 1, "x"), image("b", 2, "x"), image("c", 3, "x"), image("d", 4, "x")];
        let after =
            [image("a", 1, "x"), image("c", 5, "x"), image("d", 4, "y"), image("e", 2, "x")];
        let found = changes(&before, &after, true);
        let names = |images: &[LoadedImage]| -> Vec<String> {
            images.iter().map(|image| image.name.clone()).collect()
        };
        assert_eq!(
            (names(&found.loaded), names(&found.unloaded)),
            (vec!["e".into()], vec!["b".into()])
        );
        assert_eq!(found.moved, [(image("c", 3, "x"), image("c", 5, "x"))]);
        assert_eq!(found.rebuilt, [(image("d", 4, "x"), image("d", 4, "y"))]);
        // In another run every image may be elsewhere.
        assert!(changes(&before, &after, false).moved.is_empty());
        assert!(changes(&before, &before, true).is_empty());
    }

    #[test]
    fn two_images_of_one_name() {
        let twice = [image("a", 1, "x"), image("a", 9, "z")];
        assert_eq!(changes(&twice[..1], &twice, true).loaded, [image("a", 9, "z")]);
        assert_eq!(changes(&twice, &twice[1..], true).unloaded, [image("a", 1, "x")]);
        assert!(changes(&twice, &twice, false).is_empty());
    }
}
