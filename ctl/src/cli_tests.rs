use super::*;
use clap::CommandFactory;

#[test]
fn the_definition_of_the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn a_number_is_a_target_and_a_sign_makes_it_a_change() {
    assert_eq!(scale_change("4"), Ok(ScaleChange::To(4)));
    assert_eq!(scale_change("0"), Ok(ScaleChange::To(0)));
    assert_eq!(scale_change("+2"), Ok(ScaleChange::By(2)));
    assert_eq!(scale_change("-1"), Ok(ScaleChange::By(-1)));
    for text in ["", "+", "-", "x", "1.5", "++1", "+-1", "4294967296", "+2147483648"] {
        assert!(scale_change(text).is_err(), "{text}");
    }
}

#[test]
fn a_change_downwards_is_no_option() {
    for line in ["arbiterctl scale workers -1", "arbiterctl scale companion rq -1 --json"] {
        assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
    }
}

#[test]
fn a_timeout_is_more_than_nothing() {
    assert_eq!(seconds("2.5"), Ok(Duration::from_millis(2500)));
    for text in ["0", "-1", "nan", "inf", "1e300", "5s", ""] {
        assert!(seconds(text).is_err(), "{text}");
    }
}

#[test]
fn a_variable_may_hold_anything_after_its_first_equals_sign() {
    assert_eq!(variable("A=b=c"), Ok(("A".into(), "b=c".into())));
    assert_eq!(variable("A="), Ok(("A".into(), String::new())));
    assert!(variable("A").is_err());
    assert!(variable("=b").is_err());
}

#[test]
fn a_wrong_command_line_is_told_in_one_line_that_shows_the_right_one() {
    let line = |line: &str| {
        let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
        let problem = usage_problem(&error);
        assert_eq!(problem.code, exit_code::USAGE);
        problem.line()
    };
    let told = line("arbiterctl start redis");
    assert!(told.contains("start companion NAME..."), "{told}");
    for missing in ["arbiterctl start", "arbiterctl start companion"] {
        let told = line(missing);
        assert!(told.contains("start companion") && told.len() < 200, "{told}");
    }
    let told = line("arbiterctl statsu");
    assert!(told.contains("'status'"), "{told}");
    let told = line("arbiterctl signal workers TREM");
    assert!(told.contains("such as TERM"), "{told}");
}
