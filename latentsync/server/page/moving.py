def moving_comparison(before_url, after_url):
    return f'<div class="moving"><video src="{before_url}" controls></video><video src="{after_url}" controls></video></div>'
