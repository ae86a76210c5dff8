"""From the flat options of the command line to a method and a fine-tuned model, and back to a run's record."""

from silr.errors import InputError
from silr.io.files import Json
from silr.refine.method import Method
from silr.refine.silr import Silr
from silr.refine.tuning import FineTuned, check_choice
from silr.refine.uu import OF_THE_HEAD, UU, Paper

METHODS: dict[str, type[Method]] = {method.name: method for method in (Silr, UU, Paper)}
CLASSIFIERS = ("frozen", "lora", "qlora", "full")
OF_TUNING = ("model", "prompt", "tune_top", "max_length")


def as_method(method: str | Method) -> Method:
    """A method by its name, with its usual settings; InputError if there is none of that name."""
    if isinstance(method, Method):
        return method
    check_choice("method", method, tuple(METHODS))
    return METHODS[method]()


def as_tuning(classifier: str | FineTuned) -> FineTuned | None:
    """The model to fine-tune; None: the classifier reads frozen features; InputError if it is neither."""
    if isinstance(classifier, FineTuned):
        return classifier
    if classifier in CLASSIFIERS[1:]:
        raise InputError(f"classifier {classifier!r} needs a model: give FineTuned(model, {classifier!r})")
    check_choice("classifier", classifier, CLASSIFIERS)
    return None


def from_options(options: Json) -> tuple[Method, str | FineTuned]:
    """The method and the classifier that flat options describe; those that are None are left as they are.

    Options are ``method``, ``classifier``, and settings of `Silr`, `UU`, `Paper` or `FineTuned` by their names.
    With ``theta`` or oracle priors the default method is "uu". Raises InputError if one is of another method or
    classifier.
    """
    values = {name: value for name, value in options.items() if value is not None}
    name, kind = values.pop("method", Silr.name), values.pop("classifier", "frozen")
    check_choice("classifier", kind, CLASSIFIERS)
    check_choice("method", name, tuple(METHODS))
    if name == Silr.name and ("theta" in values or values.get("priors") == "oracle"):
        name = UU.name
    frozen = kind == "frozen"
    of_tuning = {each: values.pop(each) for each in (*OF_TUNING, *([] if frozen else OF_THE_HEAD)) if each in values}
    if frozen and of_tuning:
        raise InputError(f"{next(iter(of_tuning))} is for the classifiers lora, qlora and full; this one is 'frozen'")
    if of_tuning.pop("hidden_units", 0):
        raise InputError(f"hidden_units is for the classifier 'frozen'; this one is {kind!r}")
    if not frozen and "model" not in of_tuning:
        raise InputError(f"classifier {kind!r} needs a model: a folder, a .gguf file or a hub name")
    usual = UU().get_params()
    own = METHODS[name]().get_params()
    for option in [option for option in values if option not in own]:
        if option in usual and values[option] != usual[option]:
            raise InputError(f"{option} is a setting of the methods uu and paper: take one of them, or leave it out")
        if option in usual:
            del values[option]
    return METHODS[name](**values), kind if frozen else FineTuned(tuning=kind, **of_tuning)


def configuration(method: Method, tuning: FineTuned | None, seed: int) -> Json:
    """All settings that decide a result, as JSON values."""
    of_classifier = {"classifier": "frozen"} if tuning is None else tuning.settings(method)
    values = {"method": method.name, **method.settings(tuning), **of_classifier, "seed": seed}
    return dict(sorted(values.items()))


def without_others(configuration: Json) -> Json:
    """A run's configuration without settings that its method does not have: version 0.1 wrote those of all methods."""
    values = dict(configuration)
    if values.get("method") == Silr.name and (values.get("theta") is not None or values.get("priors") == "oracle"):
        values["method"] = UU.name
    method = METHODS.get(str(values.get("method")))
    if method is None:
        return values
    frozen = values.get("classifier", "frozen") == "frozen"
    names = set(method().get_params()) - (set() if frozen else set(OF_THE_HEAD))
    names |= {"method", "classifier", "seed"} | (set() if frozen else set(OF_TUNING) | {*OF_THE_HEAD[1:]})
    return {name: value for name, value in values.items() if name in names}


def to_options(configuration: Json) -> Json:
    """The options that describe a run's configuration again, for `from_options`; usual values are left out."""
    names = [*without_others(configuration)]
    return {name: configuration[name] for name in names if name != "seed" and configuration[name] is not None}
