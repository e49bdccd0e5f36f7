//! What words mean to a date: months, weekdays, units, numbers, zones, in the languages that are read.
//!
//! A word is looked up in lower case and without accents (`Août` as `aout`). One word can mean several things
//! (`mar` is March and, in French, a Tuesday; `second` is a unit and an ordinal), so a [`Meaning`] has a field for
//! each. The table is [`meanings`]; whoever adds a language adds rows to [`MONTHS`] and [`WEEKDAYS`].

use std::sync::OnceLock;

use rustc_hash::FxHashMap;

/// A set of languages, a bit each.
pub(super) type Languages = u16;

pub(super) const ENGLISH: Languages = 1;
const SPANISH: Languages = 1 << 1;
const FRENCH: Languages = 1 << 2;
const GERMAN: Languages = 1 << 3;
const PORTUGUESE: Languages = 1 << 4;
const ITALIAN: Languages = 1 << 5;
const DANISH: Languages = 1 << 6;
const NORWEGIAN: Languages = 1 << 7;
const SWEDISH: Languages = 1 << 8;
const DUTCH: Languages = 1 << 9;
const POLISH: Languages = 1 << 10;
/// Every language.
pub(super) const ALL: Languages = Languages::MAX;

/// ISO 639-1 codes, in the order in which a word of several languages is ascribed to one.
pub(super) const CODES: [(&str, Languages); 11] = [
    ("en", ENGLISH),
    ("es", SPANISH),
    ("fr", FRENCH),
    ("de", GERMAN),
    ("pt", PORTUGUESE),
    ("it", ITALIAN),
    ("da", DANISH),
    ("no", NORWEGIAN),
    ("sv", SWEDISH),
    ("nl", DUTCH),
    ("pl", POLISH),
];

/// The first form of a month is its full name, the others are short.
const MONTHS: [(Languages, [&str; 12]); 11] = [
    (
        ENGLISH,
        [
            "january jan",
            "february feb",
            "march mar",
            "april apr",
            "may",
            "june jun",
            "july jul",
            "august aug",
            "september sep sept",
            "october oct",
            "november nov",
            "december dec",
        ],
    ),
    (
        SPANISH,
        [
            "enero ene",
            "febrero feb",
            "marzo mar",
            "abril abr",
            "mayo",
            "junio jun",
            "julio jul",
            "agosto ago",
            "septiembre sep sept",
            "octubre oct",
            "noviembre nov",
            "diciembre dic",
        ],
    ),
    (
        FRENCH,
        [
            "janvier janv",
            "fevrier fevr",
            "mars",
            "avril avr",
            "mai",
            "juin",
            "juillet juil",
            "aout",
            "septembre sept",
            "octobre oct",
            "novembre nov",
            "decembre dec",
        ],
    ),
    (
        GERMAN,
        [
            "januar jan",
            "februar feb",
            "marz mrz",
            "april apr",
            "mai",
            "juni jun",
            "juli jul",
            "august aug",
            "september sep sept",
            "oktober okt",
            "november nov",
            "dezember dez",
        ],
    ),
    (
        PORTUGUESE,
        [
            "janeiro jan",
            "fevereiro fev",
            "marco mar",
            "abril abr",
            "maio",
            "junho jun",
            "julho jul",
            "agosto ago",
            "setembro set",
            "outubro out",
            "novembro nov",
            "dezembro dez",
        ],
    ),
    (
        ITALIAN,
        [
            "gennaio genn",
            "febbraio febbr",
            "marzo mar",
            "aprile apr",
            "maggio magg",
            "giugno giu",
            "luglio lug",
            "agosto ago",
            "settembre sett",
            "ottobre ott",
            "novembre nov",
            "dicembre dic",
        ],
    ),
    (
        DANISH,
        [
            "januar jan",
            "februar feb",
            "marts",
            "april apr",
            "maj",
            "juni jun",
            "juli jul",
            "august aug",
            "september sep sept",
            "oktober okt",
            "november nov",
            "december dec",
        ],
    ),
    (
        NORWEGIAN,
        [
            "januar jan",
            "februar feb",
            "mars",
            "april apr",
            "mai",
            "juni jun",
            "juli jul",
            "august aug",
            "september sep sept",
            "oktober okt",
            "november nov",
            "desember des",
        ],
    ),
    (
        SWEDISH,
        [
            "januari jan",
            "februari feb",
            "mars",
            "april apr",
            "maj",
            "juni jun",
            "juli jul",
            "augusti aug",
            "september sep sept",
            "oktober okt",
            "november nov",
            "december dec",
        ],
    ),
    (
        DUTCH,
        [
            "januari jan",
            "februari feb",
            "maart mrt",
            "april apr",
            "mei",
            "juni jun",
            "juli jul",
            "augustus aug",
            "september sep sept",
            "oktober okt",
            "november nov",
            "december dec",
        ],
    ),
    (
        POLISH,
        [
            "stycznia",
            "lutego",
            "marca",
            "kwietnia",
            "maja",
            "czerwca",
            "lipca",
            "sierpnia",
            "wrzesnia",
            "pazdziernika",
            "listopada",
            "grudnia",
        ],
    ),
];

/// Other full names and spellings.
const MONTH_VARIANTS: [(Languages, &str, u8); 18] = [
    (SPANISH, "setiembre", 9),
    (GERMAN, "janner", 1),
    (GERMAN, "maerz", 3),
    (POLISH, "styczen", 1),
    (POLISH, "luty", 2),
    (POLISH, "marzec", 3),
    (POLISH, "kwiecien", 4),
    (POLISH, "maj", 5),
    (POLISH, "czerwiec", 6),
    (POLISH, "lipiec", 7),
    (POLISH, "sierpien", 8),
    (POLISH, "wrzesien", 9),
    (POLISH, "pazdziernik", 10),
    (POLISH, "listopad", 11),
    (POLISH, "grudzien", 12),
    (ITALIAN, "gen", 1),
    (ITALIAN, "mag", 5),
    (FRENCH, "fev", 2),
];

/// Monday first; short forms where they are not everyday words of the language.
const WEEKDAYS: [(Languages, [&str; 7]); 11] = [
    (
        ENGLISH,
        [
            "monday mon",
            "tuesday tue tues",
            "wednesday wed weds",
            "thursday thu thur thurs",
            "friday fri",
            "saturday sat",
            "sunday sun",
        ],
    ),
    (SPANISH, ["lunes", "martes", "miercoles", "jueves", "viernes", "sabado", "domingo"]),
    (FRENCH, ["lundi lun", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"]),
    (
        GERMAN,
        [
            "montag mo",
            "dienstag di",
            "mittwoch mi",
            "donnerstag do",
            "freitag fr",
            "samstag sonnabend sa",
            "sonntag so",
        ],
    ),
    (PORTUGUESE, ["segunda", "terca", "quarta", "quinta", "sexta", "sabado", "domingo"]),
    (ITALIAN, ["lunedi", "martedi", "mercoledi", "giovedi", "venerdi", "sabato", "domenica"]),
    (
        DANISH,
        ["mandag man", "tirsdag tir", "onsdag ons", "torsdag tor", "fredag fre", "lordag lor", "sondag"],
    ),
    (
        NORWEGIAN,
        ["mandag man", "tirsdag tir", "onsdag ons", "torsdag tor", "fredag fre", "lordag lor", "sondag"],
    ),
    (SWEDISH, ["mandag", "tisdag tis", "onsdag ons", "torsdag tors", "fredag fre", "lordag", "sondag"]),
    (DUTCH, ["maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag"]),
    (POLISH, ["poniedzialek", "wtorek", "sroda", "czwartek", "piatek", "sobota", "niedziela"]),
];

/// Days from the day of reference.
const NEARBY_DAYS: [(Languages, &str, i8); 18] = [
    (ENGLISH, "today", 0),
    (ENGLISH, "tomorrow", 1),
    (ENGLISH, "yesterday", -1),
    (SPANISH, "hoy", 0),
    (SPANISH, "manana", 1),
    (SPANISH, "ayer", -1),
    (FRENCH, "aujourdhui", 0),
    (FRENCH, "demain", 1),
    (FRENCH, "hier", -1),
    (GERMAN, "heute", 0),
    (GERMAN, "morgen", 1),
    (GERMAN, "gestern", -1),
    (PORTUGUESE, "hoje", 0),
    (PORTUGUESE, "amanha", 1),
    (PORTUGUESE, "ontem", -1),
    (ITALIAN, "oggi", 0),
    (ITALIAN, "domani", 1),
    (ITALIAN, "ieri", -1),
];

const ORDINALS: [&str; 31] = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "thirtieth",
    "",
];

const NUMBERS: [&str; 12] =
    ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];

/// Zone abbreviations that mean one offset to nearly everybody, in minutes east of Greenwich.
const ZONES: [(&str, i16); 24] = [
    ("utc", 0),
    ("gmt", 0),
    ("ut", 0),
    ("est", -300),
    ("edt", -240),
    ("cst", -360),
    ("cdt", -300),
    ("mst", -420),
    ("mdt", -360),
    ("pst", -480),
    ("pdt", -420),
    ("akst", -540),
    ("akdt", -480),
    ("hst", -600),
    ("wet", 0),
    ("west", 60),
    ("cet", 60),
    ("cest", 120),
    ("eet", 120),
    ("eest", 180),
    ("msk", 180),
    ("jst", 540),
    ("aest", 600),
    ("aedt", 660),
];

const STREETS: [&str; 18] = [
    "street",
    "st",
    "road",
    "rd",
    "avenue",
    "ave",
    "lane",
    "ln",
    "drive",
    "boulevard",
    "blvd",
    "terrace",
    "crescent",
    "gardens",
    "court",
    "house",
    "close",
    "mews",
];

/// Words in front of numbers with points that count versions and paragraphs, not days.
const NUMBERERS: [&str; 27] = [
    "v",
    "ver",
    "version",
    "versions",
    "release",
    "rel",
    "build",
    "firmware",
    "kernel",
    "clause",
    "section",
    "sections",
    "sect",
    "sec",
    "article",
    "art",
    "chapter",
    "chap",
    "paragraph",
    "para",
    "item",
    "figure",
    "fig",
    "table",
    "page",
    "ip",
    "no",
];

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Second,
    /// Minutes.
    Minute,
    /// Hours.
    Hour,
    /// Days.
    Day,
    /// Weeks.
    Week,
    /// Months.
    Month,
    /// Years.
    Year,
}

const UNITS: [(&str, Unit); 19] = [
    ("second", Unit::Second),
    ("seconds", Unit::Second),
    ("sec", Unit::Second),
    ("secs", Unit::Second),
    ("minute", Unit::Minute),
    ("minutes", Unit::Minute),
    ("min", Unit::Minute),
    ("mins", Unit::Minute),
    ("hour", Unit::Hour),
    ("hours", Unit::Hour),
    ("hr", Unit::Hour),
    ("hrs", Unit::Hour),
    ("day", Unit::Day),
    ("days", Unit::Day),
    ("week", Unit::Week),
    ("weeks", Unit::Week),
    ("month", Unit::Month),
    ("months", Unit::Month),
    ("year", Unit::Year),
];

/// What a word does between the parts of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// `the`, and its like before a day.
    Article,
    /// `of`, `de`: between day, month and year.
    Of,
    /// `at`, `um`: before a time of day.
    At,
    /// `on`: between a time and its date.
    On,
    /// `in`, before an amount of time, a month or a year.
    In,
    /// Other words before a month or a year: `since`, `until`.
    Preposition,
    /// `ago`.
    Ago,
    /// `next`.
    Next,
    /// `last`.
    Last,
    /// `day`, of `the day after tomorrow`, stands in `unit`; these are the other two.
    After,
    /// `before`.
    Before,
    /// `am`, `a` of `a.m.`
    Am,
    /// `pm`, `p` of `p.m.`
    Pm,
    /// `st`, `nd`, `th`, `er` behind a number.
    OrdinalSuffix,
    /// `Uhr`, `uur`, `h` behind an hour.
    Clock,
    /// `noon`.
    Noon,
    /// `midnight`.
    Midnight,
    /// `T` between date and time.
    T,
    /// `Z`.
    Zulu,
}

const ROLES: [(&str, Role); 60] = [
    ("the", Role::Article),
    ("den", Role::Article),
    ("le", Role::Article),
    ("el", Role::Article),
    ("of", Role::Of),
    ("de", Role::Of),
    ("del", Role::Of),
    ("at", Role::At),
    ("um", Role::At),
    ("kl", Role::At),
    ("klockan", Role::At),
    ("klokken", Role::At),
    ("ore", Role::At),
    ("alle", Role::At),
    ("as", Role::At),
    ("las", Role::At),
    ("a", Role::At),
    ("om", Role::At),
    ("on", Role::On),
    ("am", Role::Am),
    ("in", Role::In),
    ("since", Role::Preposition),
    ("until", Role::Preposition),
    ("till", Role::Preposition),
    ("during", Role::Preposition),
    ("by", Role::Preposition),
    ("from", Role::Preposition),
    ("to", Role::Preposition),
    ("before", Role::Before),
    ("after", Role::After),
    ("between", Role::Preposition),
    ("through", Role::Preposition),
    ("early", Role::Preposition),
    ("late", Role::Preposition),
    ("mid", Role::Preposition),
    ("this", Role::Preposition),
    ("every", Role::Preposition),
    ("im", Role::Preposition),
    ("seit", Role::Preposition),
    ("depuis", Role::Preposition),
    ("en", Role::Preposition),
    ("ago", Role::Ago),
    ("next", Role::Next),
    ("last", Role::Last),
    ("pm", Role::Pm),
    ("p", Role::Pm),
    ("st", Role::OrdinalSuffix),
    ("nd", Role::OrdinalSuffix),
    ("rd", Role::OrdinalSuffix),
    ("th", Role::OrdinalSuffix),
    ("er", Role::OrdinalSuffix),
    ("o", Role::OrdinalSuffix),
    ("uhr", Role::Clock),
    ("uur", Role::Clock),
    ("h", Role::Clock),
    ("noon", Role::Noon),
    ("midday", Role::Noon),
    ("midnight", Role::Midnight),
    ("t", Role::T),
    ("z", Role::Zulu),
];

/// Everything that a word can mean to a date; zero and `None` where it does not.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Meaning {
    /// 1 to 12.
    pub(super) month: u8,
    /// The languages in which it is a month.
    pub(super) month_languages: Languages,
    /// Whether only abbreviations of months are written so.
    pub(super) month_short: bool,
    /// 1 (Monday) to 7.
    pub(super) weekday: u8,
    pub(super) weekday_languages: Languages,
    pub(super) weekday_short: bool,
    /// Days from the day of reference.
    pub(super) nearby: Option<i8>,
    pub(super) nearby_languages: Languages,
    /// `third` is 3.
    pub(super) ordinal: u8,
    /// `three` is 3.
    pub(super) number: u8,
    pub(super) unit: Option<Unit>,
    pub(super) zone_minutes: Option<i16>,
    pub(super) role: Option<Role>,
    pub(super) street: bool,
    pub(super) numberer: bool,
}

/// Longer words mean nothing to a date, so that they need not be folded.
pub(super) const LONGEST: usize = 14;

/// What a word in lower case, without accents, means; nothing for nearly all words.
pub(super) fn meaning(folded: &str) -> Option<&'static Meaning> {
    static TABLE: OnceLock<FxHashMap<&'static str, Meaning>> = OnceLock::new();
    TABLE.get_or_init(meanings).get(folded)
}

fn meanings() -> FxHashMap<&'static str, Meaning> {
    let mut table: FxHashMap<&'static str, Meaning> = FxHashMap::default();
    for (languages, months) in MONTHS {
        for (month, forms) in (1..).zip(months) {
            for (nth, form) in forms.split(' ').enumerate() {
                add_month(&mut table, form, month, languages, nth > 0);
            }
        }
    }
    for (languages, form, month) in MONTH_VARIANTS {
        add_month(&mut table, form, month, languages, form.len() < 4);
    }
    for (languages, weekdays) in WEEKDAYS {
        for (weekday, forms) in (1..).zip(weekdays) {
            for (nth, form) in forms.split(' ').enumerate() {
                let entry = table.entry(form).or_default();
                entry.weekday = weekday;
                entry.weekday_languages |= languages;
                entry.weekday_short = nth > 0;
            }
        }
    }
    for (languages, form, days) in NEARBY_DAYS {
        let entry = table.entry(form).or_default();
        entry.nearby = Some(days);
        entry.nearby_languages |= languages;
    }
    for (ordinal, form) in (1..).zip(ORDINALS).filter(|(_, form)| !form.is_empty()) {
        table.entry(form).or_default().ordinal = ordinal;
    }
    for (number, form) in (1..).zip(NUMBERS) {
        table.entry(form).or_default().number = number;
    }
    for (form, unit) in UNITS {
        table.entry(form).or_default().unit = Some(unit);
    }
    table.entry("years").or_default().unit = Some(Unit::Year);
    for (form, minutes) in ZONES {
        table.entry(form).or_default().zone_minutes = Some(minutes);
    }
    for (form, role) in ROLES {
        table.entry(form).or_default().role = Some(role);
    }
    for form in STREETS {
        table.entry(form).or_default().street = true;
    }
    for form in NUMBERERS {
        table.entry(form).or_default().numberer = true;
    }
    table
}

fn add_month(
    table: &mut FxHashMap<&'static str, Meaning>,
    form: &'static str,
    month: u8,
    languages: Languages,
    short: bool,
) {
    let entry = table.entry(form).or_default();
    // A word that is one month in one language and another elsewhere is left to whoever came first.
    if entry.month == 0 || entry.month == month {
        entry.month_short = short && (entry.month == 0 || entry.month_short);
        entry.month = month;
        entry.month_languages |= languages;
    }
}

/// The letter without its accent, in lower case; `None` for letters that no name in the tables has.
pub(super) fn fold(letter: char) -> Option<u8> {
    Some(match letter {
        'a'..='z' => letter as u8,
        'A'..='Z' => letter.to_ascii_lowercase() as u8,
        'à'..='å' | 'À'..='Å' | 'ą' | 'Ą' => b'a',
        'ç' | 'Ç' | 'ć' | 'Ć' => b'c',
        'è'..='ë' | 'È'..='Ë' | 'ę' | 'Ę' => b'e',
        'ì'..='ï' | 'Ì'..='Ï' => b'i',
        'ł' | 'Ł' => b'l',
        'ñ' | 'Ñ' | 'ń' | 'Ń' => b'n',
        'ò'..='ö' | 'Ò'..='Ö' | 'ø' | 'Ø' => b'o',
        'ś' | 'Ś' => b's',
        'ù'..='ü' | 'Ù'..='Ü' => b'u',
        'ź' | 'Ź' | 'ż' | 'Ż' => b'z',
        _ => return None,
    })
}
