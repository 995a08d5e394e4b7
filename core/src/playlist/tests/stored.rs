//! The model as it stands in checkpoints and journals.

use super::*;

#[test]
fn a_stored_playlist_is_the_same_when_it_is_read() {
    let playlist = list(
        "#EXT-X-START:TIME-OFFSET=1\n#EXT-X-KEY:METHOD=AES-128, URI=\"k\"\n\
         #EXT-X-MAP:URI=\"i\",BYTERANGE=\"5@6\",X=\"1,2\"\n\
         #EXT-X-PROGRAM-DATE-TIME:2024-05-01T10:00:00Z\n#EXTINF:6.5,t\n#EXT-X-BYTERANGE:7@8\na\n\
         #EXT-X-DISCONTINUITY\n#EXT-X-CUE-IN\n#EXTINF:6\nb\n#tail",
    );
    let stored = serde_json::to_string(&Playlist::Media(playlist.clone())).unwrap();
    assert_eq!(
        serde_json::from_str::<Playlist>(&stored).unwrap(),
        Playlist::Media(playlist)
    );
}

#[test]
fn an_attribute_list_is_stored_as_its_text_and_checked_when_it_is_read() {
    let attributes = AttributeList::parse("A=1,B=\"x,y\"").unwrap();
    let stored = serde_json::to_string(&attributes).unwrap();
    assert_eq!(stored, r#""A=1,B=\"x,y\"""#);
    assert_eq!(
        serde_json::from_str::<AttributeList>(&stored).unwrap(),
        attributes
    );
    assert!(serde_json::from_str::<AttributeList>(r#""A=\"open""#).is_err());
}

#[test]
fn a_refusal_can_stand_in_an_event() {
    for error in [
        list_refused("#EXTINF:x\na\n"),
        list_refused("#EXT-X-KEY:METHOD=X,METHOD=Y\n#EXTINF:1\na\n"),
        refused("<html>"),
        PlaylistError::Empty,
    ] {
        let stored = serde_json::to_string(&error).unwrap();
        assert_eq!(
            serde_json::from_str::<PlaylistError>(&stored).unwrap(),
            error
        );
    }
}
