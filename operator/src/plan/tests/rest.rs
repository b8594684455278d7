//! What is kept of a platform at rest.

use super::*;

#[test]
fn what_is_kept_of_a_platform_at_rest_is_a_small_part_of_it() {
    let live = settled(&default());
    let (whole, kept) = live.objects.values().fold((0, 0), |(whole, kept), object| {
        let length = |json: serde_json::Result<Vec<u8>>| json.unwrap().len();
        (whole + length(serde_json::to_vec(&**object)), kept + length(serde_json::to_vec(&slim::slim(object))))
    });
    assert!(kept < 300 * live.objects.len(), "{kept} bytes for {} objects, of {whole}", live.objects.len());
}
