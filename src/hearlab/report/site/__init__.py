"""The site to listen and look: static pages made from the results of a run."""
