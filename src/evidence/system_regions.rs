//! Regions that Windows puts into every process, known by fixed address, by
//! exact size, or by magic number.

use super::Evidence;
use crate::dump::Dump;
use crate::map::RegionMap;

pub(super) fn gather(_dump: &Dump<'_>, _map: &RegionMap<'_>, _evidence: &mut Evidence) {}
