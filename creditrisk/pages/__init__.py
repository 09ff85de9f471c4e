"""The style of every page that this package makes: form, API, lab, card, comparison."""
