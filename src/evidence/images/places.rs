//! Which image holds an address.

use super::Image;

/// The images by address: there can be many addresses and many images.
#[derive(Debug)]
pub struct Places<'a>(Vec<&'a Image>);

impl<'a> Places<'a> {
    /// Of these images.
    pub fn of(images: &'a [Image]) -> Places<'a> {
        let mut images: Vec<&Image> = images.iter().collect();
        images.sort_by_key(|image| image.range.start());
        Places(images)
    }

    /// The image that begins nearest below the address, when it holds it and
    /// has a name; and how far inside the address lies.
    pub fn find(&self, address: u64) -> Option<(&'a Image, u64)> {
        let after = self.0.partition_point(|image| image.range.start() <= address);
        let image = self.0.get(after.checked_sub(1)?)?;
        let inside = image.range.contains(address) && !image.name().is_empty();
        inside.then(|| (*image, address.wrapping_sub(image.range.start())))
    }

    /// `module+0x12`.
    pub fn name(&self, address: u64) -> Option<String> {
        let (image, offset) = self.find(address)?;
        Some(format!("{}+{offset:#x}", image.name()))
    }
}
