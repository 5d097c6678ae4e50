"""Words of English that decide whether two texts ask the same: closed classes, and common opposites.

General knowledge only: no names, no brands, no words of any data set. Must never know: what is
compared, or why.
"""

from __future__ import annotations

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ARTICLES: Final = _words("a an the")

AUXILIARIES: Final = _words(
    "am is are was were be been being do does did have has had can could will would shall should may might"
)

PRONOUNS: Final = _words(
    "i me my mine myself you your yours we us our ours he him his she her hers it its they them their "
    "theirs this that these those there here who whom whose what which when where why how "
    "some any someone anyone something anything"
)

PREPOSITIONS: Final = _words(
    "of to in on at for with from by about into onto as through via during within per than and or but if "
    "then because while also too"
)

FILLERS: Final = _words(
    "please pls plz kindly hi hiya hello hey dear sorry bother thanks thank thx cheers ta um umm uh uhm er erm ah oh hmm well "
    "so like yeah yep yes ok okay just actually basically really simply quick quickly question asap urgent "
    "urgently wondering wonder know tell let sir madam mate folks guys anyway exactly possible possibly"
)
"""What people say without asking anything by it. They count for nothing where only one text has them."""

STOP_WORDS: Final = (
    ARTICLES
    | AUXILIARIES
    | PRONOUNS
    | PREPOSITIONS
    | _words(
        "want need get got go going make take use using give able way help try trying would like steps step "
        "process procedure should must let see look find out up down off much many stay keep obtain kind sort type"
    )
)
"""What carries too little of its own to make two texts differ. Opposites among them are known as such."""

NEGATIONS: Final = _words(
    "not no never none nothing nobody nowhere neither nor cannot without except unless hardly barely"
)

NUMBERS: Final = {
    word: value
    for value, words in enumerate(
        [
            "zero nought",
            "one once single",
            "two twice couple second pair double",
            "three third thrice triple",
            "four fourth",
            "five fifth",
            "six sixth",
            "seven seventh",
            "eight eighth",
            "nine ninth",
            "ten tenth",
            "eleven eleventh",
            "twelve twelfth dozen",
            "thirteen thirteenth",
            "fourteen fourteenth",
            "fifteen fifteenth",
            "sixteen sixteenth",
            "seventeen seventeenth",
            "eighteen eighteenth",
            "nineteen nineteenth",
            "twenty twentieth",
        ]
    )
    for word in words.split()
} | {
    "first": 1,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "seventy": 70,
    "eighty": 80,
    "ninety": 90,
    "hundred": 100,
    "thousand": 1_000,
    "million": 1_000_000,
    "billion": 1_000_000_000,
    "half": 0.5,
    "quarter": 0.25,
}

NOT_COUNTING: Final = _words("which this that the another each any some every no only")
"""Before `one`, these make a pronoun of it."""

MONTHS: Final = {
    word: names[0]
    for names in (
        ("january", "jan"),
        ("february", "feb"),
        ("march",),
        ("april", "apr"),
        ("may",),
        ("june", "jun"),
        ("july", "jul"),
        ("august", "aug"),
        ("september", "sep", "sept"),
        ("october", "oct"),
        ("november", "nov"),
        ("december", "dec"),
    )
    for word in names
}

DOUBTFUL_MONTHS: Final = _words("may march mar")
"""Words of their own as well: dates only beside a number, or after `in`, `of`, `until`, `since`, `by`."""

DATES: Final = {
    word: names[0]
    for names in (
        ("monday", "mon", "mondays"),
        ("tuesday", "tue", "tues", "tuesdays"),
        ("wednesday", "wed", "wednesdays"),
        ("thursday", "thu", "thur", "thurs", "thursdays"),
        ("friday", "fri", "fridays"),
        ("saturday", "saturdays"),
        ("sunday", "sundays"),
        ("weekend", "weekends"),
        ("weekday", "weekdays"),
        ("today",),
        ("tomorrow", "tmrw", "tomorrows"),
        ("yesterday", "yesterdays"),
        ("tonight",),
        ("morning", "mornings"),
        ("noon", "midday"),
        ("afternoon", "afternoons"),
        ("evening", "evenings"),
        ("night", "nights", "overnight"),
        ("midnight",),
        ("spring",),
        ("summer", "summers"),
        ("autumn", "fall"),
        ("winter", "winters"),
        ("next", "upcoming", "coming", "following"),
        ("last", "previous", "past", "prior"),
        ("current", "currently", "now", "present"),
        ("ago",),
        ("am",),
        ("pm",),
        ("christmas", "xmas"),
        ("easter",),
        ("birthday",),
        ("earliest", "earlier", "early"),
        ("latest", "later", "late"),
    )
    for word in names
}

UNITS: Final = {
    word: names[0]
    for names in (
        ("second", "seconds", "sec", "secs"),
        ("minute", "minutes", "min", "mins"),
        ("hour", "hours", "hr", "hrs", "hourly"),
        ("day", "days", "daily"),
        ("week", "weeks", "wk", "wks", "weekly"),
        ("fortnight", "fortnights", "fortnightly"),
        ("month", "months", "monthly"),
        ("quarter", "quarters", "quarterly"),
        ("year", "years", "yr", "yrs", "yearly", "annual", "annually", "annum"),
        ("decade", "decades"),
        ("century", "centuries"),
        ("millimetre", "millimetres", "millimeter", "millimeters", "mm"),
        ("centimetre", "centimetres", "centimeter", "centimeters", "cm"),
        ("metre", "metres", "meter", "meters"),
        ("kilometre", "kilometres", "kilometer", "kilometers", "km", "kms", "kilometres"),
        ("inch", "inches"),
        ("foot", "feet", "ft"),
        ("yard", "yards"),
        ("mile", "miles"),
        ("milligram", "milligrams", "mg"),
        ("gram", "grams", "gramme", "grammes"),
        ("kilogram", "kilograms", "kilo", "kilos", "kg", "kgs"),
        ("ounce", "ounces", "oz"),
        ("pound-weight", "lb", "lbs"),
        ("stone", "stones"),
        ("tonne", "tonnes", "ton", "tons"),
        ("millilitre", "millilitres", "milliliter", "milliliters", "ml"),
        ("litre", "litres", "liter", "liters"),
        ("pint", "pints"),
        ("gallon", "gallons"),
        ("cup", "cups"),
        ("tablespoon", "tablespoons", "tbsp"),
        ("teaspoon", "teaspoons", "tsp"),
        ("celsius", "centigrade"),
        ("fahrenheit",),
        ("kelvin",),
        ("percent", "per-cent", "percentage", "%"),
        ("dollar", "dollars", "usd", "$", "bucks", "buck"),
        ("cent", "cents"),
        ("euro", "euros", "eur", "€"),
        ("pound", "pounds", "gbp", "£", "quid", "sterling"),
        ("penny", "pence"),
        ("yen", "jpy", "¥"),
        ("yuan", "rmb", "cny", "renminbi"),
        ("rupee", "rupees", "inr", "₹"),
        ("korean-won", "krw", "₩"),
        ("rouble", "roubles", "ruble", "rubles", "rub", "₽"),
        ("franc", "francs", "chf"),
        ("peso", "pesos"),
        ("krona", "kronor", "krone", "kroner"),
        ("bit", "bits"),
        ("byte", "bytes"),
        ("kilobyte", "kilobytes", "kb"),
        ("megabyte", "megabytes", "mb"),
        ("gigabyte", "gigabytes", "gb"),
        ("terabyte", "terabytes", "tb"),
        ("watt", "watts"),
        ("kilowatt", "kilowatts", "kw"),
        ("volt", "volts"),
        ("calorie", "calories", "kcal"),
        ("joule", "joules", "kj"),
        ("kph", "kmh"),
        ("mph",),
        ("acre", "acres"),
        ("hectare", "hectares"),
    )
    for word in names
}

_OPPOSITES: Final = """
and/or on/off in/out up/down over/under above/below before/after to/from into/outof with/without inside/outside
indoors/outdoors left/right front/back top/bottom north/south east/west upstairs/downstairs near/far here/there
increase/decrease raise/lower rise/fall grow/shrink add/remove,delete,subtract,drop insert/delete,remove,extract
create/delete,destroy open/close,shut,closed start/stop,end,finish begin/end,finish,stop enable/disable
activate/deactivate turn-on/turn-off allow/ban,forbid,prevent,deny,block,prohibit permit/forbid,ban accept/decline,
reject,refuse accepted/declined,rejected approve/reject,deny,decline grant/revoke,deny give/take send/receive
lend/borrow buy/sell,return purchase/sell import/export upload/download deposit/withdraw,withdrawal credit/debit
save/spend,delete earn/spend,lose win/lose gain/lose find/lose keep/discard,delete lock/unlock block/unblock
join/leave,quit enter/leave,exit arrive/depart,leave arrival/departure come/go push/pull load/unload
show/hide visible/hidden,invisible publish/unpublish subscribe/unsubscribe install/uninstall remember/forget
pause/resume,continue,unpause suspend/resume,reinstate mute/unmute connect/disconnect attach/detach
check-in/check-out login/logout sign-in/sign-out book/cancel cancel/keep,renew,confirm,reactivate
pass/fail succeed/fail success/failure hire/fire,dismiss love/hate like/dislike agree/disagree
ask/answer question/answer teach/learn speak/listen read/write encrypt/decrypt compress/decompress
freeze/unfreeze,thaw,melt heat/cool warm/cool,cold hot/cold wet/dry full/empty fill/empty clean/dirty
high/low higher/lower highest/lowest big/small bigger/smaller biggest/smallest large/small larger/smaller
largest/smallest long/short longer/shorter longest/shortest tall/short wide/narrow thick/thin deep/shallow
heavy/light dark/light bright/dark loud/quiet busy/quiet fast/slow faster/slower fastest/slowest quick/slow
early/late earlier/later earliest/latest new/old newer/older newest/oldest young/old younger/older modern/ancient
good/bad better/worse best/worst right/wrong correct/incorrect,wrong true/false positive/negative safe/dangerous,
unsafe legal/illegal easy/hard,difficult easier/harder easiest/hardest simple/complex,complicated
cheap/expensive cheaper/dearer cheapest/dearest rich/poor strong/weak hard/soft rough/smooth tight/loose
more/less,fewer most/least,fewest max/min maximum/minimum maximise/minimise maximize/minimize many/few
major/minor first/last,second final/first all/none,some every/no always/never everything/nothing
everyone/nobody both/neither only/also same/different equal/unequal public/private internal/external
domestic/international,foreign home/abroad,away national/international local/foreign,remote,international
free/paid single/married,double,return male/female man/woman men/women boy/girl husband/wife mother/father
son/daughter brother/sister adult/child,children adults/children,kids parent/child buyer/seller
employer/employee landlord/tenant teacher/student doctor/patient customer/supplier sender/recipient
lender/borrower winner/loser host/guest debtor/creditor asset/liability profit/loss income/expense,outgoings
supply/demand input/output gross/net fixed/variable temporary/permanent full-time/part-time manual/automatic
online/offline,instore wired/wireless primary/secondary senior/junior superior/inferior native/foreign
alive/dead life/death sick/healthy healthy/unhealthy awake/asleep happy/sad present/absent includes/excludes
include/exclude included/excluded inclusive/exclusive inbound/outbound incoming/outgoing outward/return
forward/backward,back ahead/behind ascending/descending vertical/horizontal odd/even plus/minus
encourage/discourage attack/defend optional/mandatory,required,compulsory voluntary/compulsory temporary/permanent
breakfast/lunch,dinner lunch/dinner sunrise/sunset dawn/dusk solid/liquid,gas raw/cooked vegan/meat
he/she him/her his/her,my,your,their,our my/her,their her/their wife/husband uncle/aunt niece/nephew
king/queen lady/gentleman savings/checking,current debit/credit mobile/landline email/post personal/business private/business
"""


def _opposites() -> frozenset[tuple[str, str]]:
    pairs: set[tuple[str, str]] = set()
    for entry in _OPPOSITES.replace(",\n", ",").split():
        one, _, others = entry.partition("/")
        for other in others.split(","):
            pairs |= {(one, other), (other, one)}
    return frozenset(pairs)


OPPOSITES: Final = _opposites()
"""Pairs of words that make a text mean something else when one takes the place of the other."""

_SYNONYMS: Final = """
quick,fast,rapid,speedy quickest,fastest begin,start,commence end,finish,conclude buy,purchase cost,price,charge
fee,charge flat,apartment holiday,vacation rubbish,trash,garbage fix,repair,mend agreement,contract
change,amend,modify,alter,update,edit shut,close cancel,terminate error,mistake,fault help,assist big,large,huge
small,little,tiny sofa,couch car,automobile phone,telephone photo,picture,photograph movie,film street,road
kid,child kids,children doctor,physician delete,remove,erase obtain,get,acquire show,display choose,select,pick
cheap,inexpensive correct,right wrong,incorrect answer,reply,response request,ask permit,allow forbid,prohibit,ban
stop,halt,cease job,occupation salary,wage,pay lorry,truck lift,elevator petrol,gasoline,gas mobile,cellphone,cell
parcel,package post,mail shop,store queue,line timetable,schedule postcode,zipcode surname,lastname bill,invoice
broken,damaged empty,vacant ill,sick,unwell tired,exhausted near,close nearby,close maximum,max minimum,min
information,info,details application,app advertisement,advert,ad laboratory,lab examination,exam
refrigerator,fridge television,tv telly,tv bicycle,bike aeroplane,airplane,plane university,uni
document,documents,paperwork require,need permitted,allowed locate,find contact,reach call,ring,phone
speak,talk chat,talk instruct,teach explain,describe collect,gather gift,present clever,smart,intelligent
often,frequently maybe,perhaps quiet,silent simple,easy difficult,hard sum,total whole,entire
"""


def _synonyms() -> frozenset[tuple[str, str]]:
    groups = [entry.split(",") for entry in _SYNONYMS.split()]
    return frozenset((one, other) for group in groups for one in group for other in group if one != other)


SYNONYMS: Final = _synonyms()
"""Pairs of words of which either may stand for the other in a question."""

DERIVING: Final = ("ation", "tion", "ion", "ment", "ance", "ence", "al")
"""What makes a noun of a verb, set behind it."""

NEGATING: Final = (
    "un",
    "in",
    "im",
    "ir",
    "il",
    "dis",
    "non",
    "de",
    "mis",
    "anti",
    "counter",
    "under",
    "over",
)
"""What turns a word into its opposite, set before it."""

MODALS: Final = {
    "able": "possible",
    "can": "possible",
    "could": "possible",
    "may": "possible",
    "might": "possible",
    "allowed": "possible",
    "must": "needed",
    "required": "needed",
    "should": "advisable",
    "ought": "advisable",
}
