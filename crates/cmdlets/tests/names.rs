//! The table itself: what holds for every row.

use hvrsim_cmdlets::table::{self, CMDLETS, OTHERS, Type};

#[test]
fn every_parameter_can_be_reached() {
    for cmdlet in CMDLETS {
        let mut names = Vec::new();
        for parameter in cmdlet.parameters() {
            let places: Vec<_> = cmdlet.sets.iter().filter_map(|set| parameter.place(set)).collect();
            assert!(!places.is_empty(), "{} -{}", cmdlet.name, parameter.name);
            names.extend(parameter.names().map(str::to_lowercase));
        }
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all, "{}: a name or alias stands twice", cmdlet.name);
    }
}

#[test]
fn positions_of_a_set_are_gapless() {
    for cmdlet in CMDLETS {
        for set in cmdlet.sets {
            let positions: Vec<_> =
                cmdlet.syntax(set).into_iter().filter_map(|(_, place)| place.position).collect();
            let expected: Vec<_> = (0u8..).take(positions.len()).collect();
            assert_eq!(positions, expected, "{} {set}", cmdlet.name);
        }
    }
}

#[test]
fn names_are_found_once_and_without_regard_to_case() {
    for cmdlet in CMDLETS {
        assert_eq!(table::find(&cmdlet.name.to_lowercase()), Some(cmdlet));
        assert!(!OTHERS.contains(&cmdlet.name), "{} stands in both lists", cmdlet.name);
    }
    assert!(OTHERS.is_sorted());
    assert!(OTHERS.iter().all(|name| table::find(name).is_none()));
}

#[test]
fn switches_have_no_position() {
    for cmdlet in CMDLETS {
        for set in cmdlet.sets {
            let switches = cmdlet.syntax(set).into_iter().filter(|(p, _)| p.ty == Type::Switch);
            assert!(switches.into_iter().all(|(_, place)| place.position.is_none()), "{}", cmdlet.name);
        }
    }
}
