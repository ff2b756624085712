"""Models, studies and the bilingual report of five machine-learning studies."""
