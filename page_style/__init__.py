"""How all pages look: reports, index, decision lab, model card, comparisons, form."""
