//! Abbreviations of zones that may stand behind a time.

use std::sync::OnceLock;

use super::tokens::starts_with;

/// Sorted, so that of two of which one begins like the other, the shorter comes first; that one is taken.
pub const ZONES: &str = "\
ACDT ACST ACT ACWDT ACWST ADDT ADMT ADT AEDT AEST AFT AHDT AHST AKDT AKST AKTST AKTT ALMST ALMT AMST AMT \
     ANAST ANAT ANT APT AQTST AQTT ARST ART ASHST ASHT AST AWDT AWST AWT AZOMT AZOST AZOT AZST AZT BAKST BAKT \
     BDST BDT BEAT BEAUT BIOT BMT BNT BORT BOST BOT BRST BRT BST BTT BURT CANT CAPT CAST CAT CAWT CCT CDDT \
     CDT CEDT CEMT CEST CET CGST CGT CHADT CHAST CHDT CHOST CHOT CHST CIST CKHST CKT CLST CLT CMT COST COT \
     CPT CST CUT CVST CVT CWT CXT DACT DAVT DDUT DFT DMT DUSST DUST EASST EAST EAT ECT EDDT EDT EEDT EEST EET \
     EGST EGT EHDT EMT EPT EST ET EWT FET FFMT FJST FJT FKST FKT FMT FNST FNT FORT FRUST FRUT GALT GAMT GBGT \
     GEST GET GFT GHST GILT GIT GMT GST GYT HAA HAC HADT HAE HAP HAR HAST HAT HAY HDT HKST HKT HLV HMT HNA \
     HNC HNE HNP HNR HNT HNY HOVST HOVT HST ICT IDDT IDT IHST IMT IOT IRDT IRKST IRKT IRST ISST IST JAVT JCST \
     JDT JMT JST JWST KART KDT KGST KGT KIZST KIZT KMT KOST KRAST KRAT KST KUYST KUYT KWAT LHDT LHST LINT LKT \
     LMT LRT LST MADMT MADST MADT MAGST MAGT MALST MALT MART MAWT MDDT MDST MDT MEST MET MHT MIST MIT MMT \
     MOST MOT MPT MSD MSK MSM MST MUST MUT MVT MWT MYT NCST NCT NDDT NDT NEGT NEST NET NFT NMT NOVST NOVT NPT \
     NRT NST NT NUT NWT NZDT NZMT NZST OMSST OMST ORAST ORAT PDDT PDT PEST PET PETST PETT PGT PHOT PHST PHT \
     PKST PKT PLMT PMDT PMMT PMST PMT PNT PONT PPMT PPT PST PT PWT PYST PYT QMT QYZST QYZT RET RMT ROTT SAKST \
     SAKT SAMT SAST SBT SCT SDMT SDT SET SGT SHEST SHET SJMT SLT SMT SRET SRT SST STAT SVEST SVET SWAT SYOT \
     TAHT TASST TAST TBIST TBIT TBMT TFT THA TJT TKT TLT TMT TOST TOT TRST TRT TSAT TVT ULAST ULAT URAST URAT \
     UTC UYHST UYST UYT UZST UZT VET VLAST VLAT VOLST VOLT VOST VUST VUT WARST WART WAST WAT WDT WEDT WEMT \
     WEST WET WFT WGST WGT WIB WIT WITA WMT WSDT WSST WST WT XJT YAKST YAKT YAPT YDDT YDT YEKST YEKT YERST \
     YERT YPT YST YWT ZZZ";

/// Words of North America, with the abbreviation that each becomes.
pub const REGIONS: [(&str, &str); 4] =
    [("pacific", "PST"), ("eastern", "EST"), ("mountain", "MST"), ("central", "CST")];

/// The place behind the zone that is written at `at`.
pub(super) fn zone(text: &str, at: usize) -> Option<usize> {
    let initial = text.as_bytes().get(at)?.to_ascii_uppercase();
    let abbreviation = with_initial(initial).iter().find_map(|zone| starts_with(text, at, zone));
    abbreviation.or_else(|| REGIONS.iter().find_map(|(region, _)| starts_with(text, at, region)))
}

fn with_initial(initial: u8) -> &'static [&'static str] {
    static BY_INITIAL: OnceLock<[Vec<&'static str>; 26]> = OnceLock::new();
    let table = BY_INITIAL.get_or_init(|| {
        let mut table = [const { Vec::new() }; 26];
        for zone in ZONES.split(' ') {
            table[usize::from(zone.as_bytes()[0] - b'A')].push(zone);
        }
        table
    });
    initial.checked_sub(b'A').and_then(|letter| table.get(usize::from(letter))).map_or(&[], Vec::as_slice)
}
