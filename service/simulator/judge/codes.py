"""What the provider's refusals mean, from its catalogue as the fact sheets quote it."""

NOT_BEGUN = "late"
"""Our own: the request did not begin, because the claim was old. Nothing was handed over."""
AGAIN = frozenset({"20429", "21611", "30001", "30003", "30020", "30021", "30022", "30023", "30047", "35125", NOT_BEGUN})
"""Nobody is to blame: it may be tried again later."""
NUMBER = frozenset({"21211", "21265", "21612", "21614", "21635", "30004", "30005", "30006", "30640"})
"""The number takes no texts: nothing more goes there until it changes or the phone itself texts."""
OPTED_OUT = frozenset({"21610"})
"""The person has withdrawn at the provider."""
